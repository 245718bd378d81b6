// The list of streams: newest first, arriving live, and never moving under the reader's hand.

import { Refresher } from "./api.js";
import { headCells, streamHref, streamKey, streamRow } from "./columns.js";
import { h, put } from "./dom.js";
import { emptyList } from "./empty.js";
import { StreamFeed } from "./feed.js";
import { FILTER_NAMES, FilterBar } from "./filters.js";
import { formatCount, formatNumber } from "./format.js";
import { LiveStreams } from "./live.js";
import { routeTo } from "./route.js";
import { VirtualRows } from "./rows.js";
import { onTheme } from "./theme.js";

const READING_MS = 3000;
const NARROW = matchMedia("(max-width: 760px)");

/** The view at `#/`. */
export class ListView {
  #query = {};
  #above = 0;
  #selected = null;
  #picked = [];
  #pointed = -Infinity;
  #feed = new StreamFeed();
  #live = new LiveStreams();
  #refresher = new Refresher(() => this.#refresh());

  constructor({ go, problem }) {
    Object.assign(this, { go, problem });
    this.filters = new FilterBar((query) => go(routeTo("list", [], query), true));
    this.count = h("span", { class: "total", "aria-live": "polite" });
    this.notes = h("span", { class: "notes" });
    this.fresh = h("button", { type: "button", class: "fresh", hidden: true, on: { click: () => this.#toTop() } });
    this.compare = h(
      "button",
      { type: "button", class: "primary", hidden: true, on: { click: () => this.#compare() } },
      "Compare the two",
    );
    this.head = h("div", { class: "row head", role: "row", "aria-rowindex": "1" });
    this.spacer = h("div", { class: "spacer", role: "presentation" });
    this.scroller = h("div", { class: "scroller", tabindex: "-1" }, this.spacer);
    this.grid = h(
      "div",
      {
        class: "grid",
        role: "grid",
        tabindex: "0",
        "aria-label": "Streams",
        "aria-multiselectable": "true",
        on: {
          pointermove: () => {
            this.#pointed = performance.now();
          },
        },
      },
      h("div", { class: "head-holder", role: "rowgroup" }, this.head),
      this.scroller,
    );
    this.empty = h("div", { class: "empty-holder" });
    this.root = h(
      "section",
      { class: "view list" },
      this.filters.root,
      h("div", { class: "status" }, this.count, this.notes, this.compare, this.fresh),
      this.grid,
      this.empty,
    );
    this.rows = new VirtualRows(this.scroller, this.spacer, {
      make: (stream) => this.#row(stream),
      keyOf: streamKey,
      stampOf: (stream) => this.#stamp(stream),
      rowHeight: () => (NARROW.matches ? 78 : 34),
      scrolled: () => this.#scrolled(),
    });
    NARROW.addEventListener("change", () => this.rows.render(true));
    onTheme(() => this.rows.render(true));
  }

  /** Show the streams that `query` names. */
  show({ query }) {
    this.#query = query;
    this.filters.show(query);
    const sort = { by: query.sort?.[0] ?? "start", ascending: query.order?.[0] === "asc" };
    put(
      this.head,
      headCells(sort, (change) => this.go(routeTo("list", [], { ...query, ...change }), true)),
    );
    if (this.#feed.use(query)) {
      this.scroller.scrollTop = 0;
      this.#above = 0;
    } else {
      this.scroller.scrollTop = this.left ?? 0;
    }
    this.#refresher.hurry();
  }

  /** Remember where the reader was. */
  hide() {
    this.left = this.scroller.scrollTop;
    this.#refresher.stop();
  }

  /** Something is new in the store, or runs. */
  changed() {
    this.#refresher.poke();
  }

  /** Take a key; return whether it meant something. */
  key(event) {
    switch (event.key) {
      case "j":
      case "ArrowDown":
        return this.#move(1);
      case "k":
      case "ArrowUp":
        return this.#move(-1);
      case "Home":
        return this.#toTop();
      case "Enter":
        return this.#open(event);
      case "x":
        return this.#pick(this.#selected);
      case "c":
        return this.#compare();
      case "/":
        this.filters.search.focus();
        this.filters.search.select();
        return true;
      case "Escape":
        return this.#select(null);
      default:
        return false;
    }
  }

  async #refresh() {
    try {
      const [facets] = await Promise.all([this.#feed.refresh(), this.#live.refresh()]);
      if (facets === null) return;
      this.problem(null);
      this.filters.facets(facets);
      this.#put();
      this.#moreIfNear();
    } catch (error) {
      this.problem(error);
    }
  }

  async #moreIfNear() {
    const near = () => {
      const left = this.spacer.offsetHeight - this.scroller.scrollTop - this.scroller.clientHeight;
      return left < this.scroller.clientHeight;
    };
    try {
      while (near() && (await this.#feed.more())) this.#put();
    } catch (error) {
      this.problem(error);
    }
  }

  #put() {
    const ended = new Set(this.#feed.streams.map(streamKey));
    const running = this.#live.matching(this.#query).filter((stream) => !ended.has(streamKey(stream)));
    const items = [...running, ...this.#feed.streams];
    const above = this.rows.set(items, this.#isRead());
    this.#above = this.scroller.scrollTop > 0 ? Math.max(0, this.#above + above) : 0;
    const filtered = FILTER_NAMES.some((name) => this.#query[name]?.length);
    const live = running.length ? `, ${formatNumber(running.length)} running` : "";
    this.count.textContent = `${formatCount(this.#feed.total, "stream")}${live}`;
    put(
      this.notes,
      this.#live.problems.map(({ url, error, absent }) => h("span", { class: absent ? "note" : "note bad", title: url }, error)),
    );
    this.grid.setAttribute("aria-rowcount", this.#feed.total + running.length + 1);
    this.grid.hidden = items.length === 0;
    if (this.empty.dataset.kind !== `${items.length > 0}${filtered}`) {
      this.empty.dataset.kind = `${items.length > 0}${filtered}`;
      put(this.empty, items.length ? null : emptyList(filtered));
    }
    this.#putButtons();
  }

  #row(stream) {
    const key = streamKey(stream);
    return streamRow(stream, {
      selected: key === this.#selected,
      picked: this.#picked.includes(key),
      pick: () => this.#pick(key),
      open: () => this.#opened(stream),
    });
  }

  #stamp(stream) {
    const key = streamKey(stream);
    const live = stream.live
      ? [stream.age_s, stream.chunks]
      : [stream.duration_s, stream.stall_count, stream.route, stream.outcome];
    return [...live, key === this.#selected, this.#picked.includes(key)].join("|");
  }

  #opened(stream) {
    if (!streamHref(stream)) return;
    this.#selected = streamKey(stream);
    this.go(streamHref(stream));
  }

  #move(step) {
    const at = this.rows.indexOf(this.#selected);
    const first = Math.ceil(this.scroller.scrollTop / this.rows.rowHeight());
    const next = at < 0 ? first : Math.max(0, Math.min(this.rows.items.length - 1, at + step));
    if (!this.rows.items[next]) return false;
    this.#select(streamKey(this.rows.items[next]));
    // Enter shall open the row, not press whatever was clicked before.
    this.grid.focus({ preventScroll: true });
    this.rows.reveal(next);
    this.#moreIfNear();
    return true;
  }

  #select(key) {
    const had = this.#selected !== null;
    this.#selected = key;
    if (key) this.grid.setAttribute("aria-activedescendant", `row-${key}`);
    else this.grid.removeAttribute("aria-activedescendant");
    this.rows.render();
    return had || key !== null;
  }

  #open(event) {
    const stream = this.rows.items[this.rows.indexOf(this.#selected)];
    if (!stream || event.target.closest("button, a, select, input")) return false;
    this.go(streamHref(stream));
    return true;
  }

  #pick(key) {
    const stream = this.rows.items[this.rows.indexOf(key)];
    if (!stream || stream.live) return false;
    this.#picked = this.#picked.includes(key)
      ? this.#picked.filter((other) => other !== key)
      : [...this.#picked.slice(-1), key];
    this.#putButtons();
    this.rows.render();
    return true;
  }

  #compare() {
    if (this.#picked.length !== 2) return false;
    this.go(
      routeTo(
        "compare",
        this.#picked.flatMap((key) => key.split("/")),
      ),
    );
    return true;
  }

  #putButtons() {
    this.compare.hidden = this.#picked.length !== 2;
    this.fresh.hidden = this.#above === 0;
    this.fresh.textContent = `↑ ${formatNumber(this.#above)} new`;
  }

  #toTop() {
    this.scroller.scrollTop = 0;
    this.#select(null);
    return true;
  }

  #scrolled() {
    if (this.scroller.scrollTop === 0) this.#above = 0;
    this.#putButtons();
    this.#moreIfNear();
  }

  #isRead() {
    return this.scroller.scrollTop > 0 || this.#selected !== null || performance.now() - this.#pointed < READING_MS;
  }
}

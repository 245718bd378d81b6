// The filter bar: search, chips for outcomes and causes (they are the legend too), and menus. It owns no
// state: it shows a query and tells what the query shall become.

import { h, put, signed } from "./dom.js";
import { formatNumber } from "./format.js";
import { COLUMNS } from "./columns.js";
import { CAUSES, OUTCOMES, causeOf, outcomeOf } from "./words.js";

const TYPING_MS = 180;
const MENUS = { model: "any model", route: "any route", service: "any service" };

/** Names in the hash that the server takes as they are. */
export const FILTER_NAMES = [
  "q",
  "outcome",
  "cause",
  "model",
  "route",
  "service",
  "min_ttft_s",
  "stalled",
  "since_ms",
  "until_ms",
];

/** The bar. `changed(query)` is called with the query as the user wants it. */
export class FilterBar {
  #query = {};
  #typing = 0;
  #menus = {};
  #chips = {
    outcome: h("div", { class: "chips", role: "group", "aria-label": "Outcome" }),
    cause: h("div", { class: "chips", role: "group", "aria-label": "Cause of stalls" }),
  };

  constructor(changed) {
    this.changed = changed;
    this.search = h("input", {
      type: "search",
      placeholder: "Search model, route, trace id, file, function …",
      "aria-label": "Search streams",
      spellcheck: "false",
      autocomplete: "off",
      on: { input: () => this.#later(() => this.#set("q", this.search.value.trim())) },
    });
    for (const [name, any] of Object.entries(MENUS)) {
      const label = name[0].toUpperCase() + name.slice(1);
      this.#menus[name] = h(
        "select",
        { "aria-label": label, on: { change: (event) => this.#set(name, event.target.value) } },
        h("option", { value: "" }, any),
      );
    }
    this.slow = h("input", {
      type: "number",
      min: "0",
      step: "0.1",
      placeholder: "s",
      inputmode: "decimal",
      "aria-label": "First token slower than, in seconds",
      on: { input: () => this.#later(() => this.#set("min_ttft_s", this.slow.value)) },
    });
    this.stalled = h("input", {
      type: "checkbox",
      on: { change: () => this.#set("stalled", this.stalled.checked ? "1" : "") },
    });
    this.sort = h(
      "select",
      { "aria-label": "Sort by", class: "narrow-only", on: { change: () => this.#set("sort", this.sort.value) } },
      COLUMNS.filter((column) => column.sort).map((column) =>
        h("option", { value: column.sort }, `by ${column.label}`),
      ),
    );
    this.clear = h(
      "button",
      { type: "button", class: "quiet", on: { click: () => this.changed(this.#kept(["sort", "order"])) } },
      "Clear",
    );
    this.window = h("span", { class: "window dim" });
    this.root = h(
      "form",
      { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
      h(
        "div",
        { class: "line" },
        this.search,
        Object.values(this.#menus),
        this.sort,
        h("label", { class: "box" }, "TTFT ≥ ", this.slow),
        h("label", { class: "box" }, this.stalled, " stalled"),
        this.window,
        this.clear,
      ),
      h("div", { class: "line chip-line" }, this.#chips.outcome, this.#chips.cause),
    );
  }

  /** Show a query, each value an array. */
  show(query) {
    this.#query = query;
    const one = (name) => query[name]?.[0] ?? "";
    if (document.activeElement !== this.search) this.search.value = one("q");
    if (document.activeElement !== this.slow) this.slow.value = one("min_ttft_s");
    this.stalled.checked = one("stalled") === "1";
    this.sort.value = one("sort") || "start";
    Object.entries(this.#menus).forEach(([name, menu]) => this.#choose(menu, one(name)));
    this.window.textContent = query.since_ms || query.until_ms ? "in a window of time" : "";
    this.clear.hidden = !FILTER_NAMES.some((name) => query[name]?.length);
  }

  /** Show what there is to filter by: `{outcome: {name: count}, ...}`. */
  facets(facets) {
    for (const [name, menu] of Object.entries(this.#menus)) this.#offer(menu, name, facets[name] ?? {});
    this.#putChips("outcome", facets.outcome ?? {}, Object.keys(OUTCOMES), outcomeOf, (name) => name);
    this.#putChips("cause", facets.cause ?? {}, Object.keys(CAUSES), causeOf, (name) => causeOf(name).label);
  }

  #putChips(field, counts, order, wordsOf, labelOf) {
    const active = this.#query[field] ?? [];
    const names = [...new Set([...order.filter((name) => counts[name]), ...Object.keys(counts), ...active])];
    const group = this.#chips[field];
    const stamp = JSON.stringify([names, active, counts]);
    if (group.dataset.stamp === stamp) return;
    group.dataset.stamp = stamp;
    const focused = group.contains(document.activeElement) ? document.activeElement.value : null;
    put(
      group,
      names.map((name) => {
        const { sign, says } = wordsOf(name);
        return h(
          "button",
          {
            type: "button",
            class: `chip ${field} ${field}-${name}`,
            value: name,
            title: says,
            "aria-pressed": String(active.includes(name)),
            on: { click: () => this.#toggle(field, name) },
          },
          signed(sign, labelOf(name)),
          h("span", { class: "number" }, formatNumber(counts[name] ?? 0)),
        );
      }),
    );
    if (focused !== null) [...group.children].find((chip) => chip.value === focused)?.focus();
  }

  #offer(menu, name, counts) {
    const chosen = this.#query[name]?.[0] ?? "";
    const names = [...new Set([...Object.keys(counts).sort(), ...(chosen ? [chosen] : [])])];
    const stamp = JSON.stringify([names, counts]);
    if (menu.dataset.stamp !== stamp && document.activeElement !== menu) {
      menu.dataset.stamp = stamp;
      put(
        menu,
        h("option", { value: "" }, MENUS[name]),
        names.map((value) => h("option", { value }, `${value} (${formatNumber(counts[value] ?? 0)})`)),
      );
    }
    menu.hidden = names.length < 2 && !chosen;
    this.#choose(menu, chosen);
  }

  #choose(menu, value) {
    if (document.activeElement !== menu) menu.value = value;
    menu.classList.toggle("on", Boolean(value));
  }

  #toggle(field, name) {
    const active = this.#query[field] ?? [];
    this.#set(field, active.includes(name) ? active.filter((other) => other !== name) : [...active, name]);
  }

  #set(name, value) {
    this.changed({ ...this.#query, [name]: Array.isArray(value) ? value : value ? [value] : [] });
  }

  #kept(names) {
    return Object.fromEntries(names.filter((name) => this.#query[name]).map((name) => [name, this.#query[name]]));
  }

  #later(work) {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(work, TYPING_MS);
  }
}

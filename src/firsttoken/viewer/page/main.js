// The page: the bar on top, one view below it, keys, and the news from the server.

import { Changes, ask, savedTrace } from "./api.js";
import { CompareView } from "./compare.js";
import { DistributionsView } from "./distributions.js";
import { h, put, svg } from "./dom.js";
import { formatClock } from "./format.js";
import { helpDialog } from "./help.js";
import { ListView } from "./list.js";
import { parseRoute } from "./route.js";
import { nextTheme, putTheme, themeChoice } from "./theme.js";
import { TraceView } from "./trace.js";

const THEME_SIGNS = { auto: "◐", light: "☀", dark: "☾" };

class Page {
  #views;
  #view = null;
  #lastList = "#/";
  #heard = Date.now();

  constructor(saved) {
    const parts = { go: (hash, replace) => this.#go(hash, replace), problem: (error) => this.#problem(error) };
    this.saved = saved;
    this.#views = saved
      ? { trace: new TraceView({ ...parts, saved }) }
      : {
          list: new ListView(parts),
          trace: new TraceView(parts),
          distributions: new DistributionsView(parts),
          compare: new CompareView(parts),
        };
    this.connection = h("span", { class: "connection", role: "status" }, "connecting");
    this.theme = h("button", { type: "button", class: "quiet", on: { click: () => this.#nextTheme() } });
    this.links = {
      list: h("a", { href: "#/" }, "Streams"),
      distributions: h("a", { href: "#/distributions" }, "Distributions"),
    };
    this.dialog = helpDialog();
    this.problem = h("div", { class: "problem", role: "alert", hidden: true });
    this.main = h("main");
    const help = h(
      "button",
      {
        type: "button",
        class: "quiet",
        title: "Keys",
        "aria-label": "Keys",
        on: { click: () => this.dialog.showModal() },
      },
      "?",
    );
    document.body.append(
      h(
        "header",
        { class: "bar" },
        h("a", { class: "brand", href: "#/" }, brand(), "firsttoken"),
        h("nav", { "aria-label": "Views" }, saved ? null : Object.values(this.links)),
        saved ? null : this.connection,
        this.theme,
        help,
      ),
      this.problem,
      this.main,
      this.dialog,
    );
  }

  start() {
    putTheme();
    this.#nameTheme(themeChoice());
    document.addEventListener("keydown", (event) => this.#key(event));
    if (this.saved) {
      this.#show(this.#views.trace, { path: [this.saved.trace_id], query: {} });
      return;
    }
    addEventListener("hashchange", () => this.#route());
    this.#route();
    const changes = new Changes(
      (news) => this.#changed(news),
      (connected) => this.#connected(connected),
    );
    changes.open();
    // A browser has few connections to one server: tabs that nobody looks at let go of theirs.
    document.addEventListener("visibilitychange", () => (document.hidden ? changes.close() : changes.open()));
  }

  #route() {
    const route = parseRoute(location.hash);
    const name = Object.hasOwn(this.#views, route.view) ? route.view : "list";
    if (name === "list") this.#lastList = location.hash || "#/";
    this.links.list.href = this.#lastList;
    for (const [view, link] of Object.entries(this.links)) {
      if (view === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#show(this.#views[name], route);
  }

  #show(view, route) {
    if (this.#view !== view) {
      this.#view?.hide();
      put(this.main, view.root);
      this.#view = view;
      document.title = "firsttoken";
    }
    view.show(route);
  }

  // Without a hash: back to the list as it was.
  #go(hash, replace) {
    if (this.saved) return;
    const wanted = hash ?? this.#lastList;
    if (!replace) {
      location.hash = wanted;
      return;
    }
    history.replaceState(null, "", wanted);
    this.#route();
  }

  #changed(news) {
    this.#heard = Date.now();
    this.#view.changed(news);
  }

  #connected(connected) {
    this.connection.classList.toggle("lost", !connected);
    this.connection.textContent = connected ? "live" : "not connected";
    this.connection.title = connected ? "New streams appear by themselves" : "The viewer's server does not answer";
    if (connected) {
      this.#problem(null);
      this.#view.changed({});
    } else {
      this.#explain();
    }
  }

  // An EventSource does not say why it ended.
  async #explain() {
    let why = "The viewer's server answers, but sends no news.";
    try {
      await ask("/api/health");
    } catch (error) {
      why = error.message;
    }
    if (!this.connection.classList.contains("lost")) return;
    this.#problem(new Error(`${why} What you see is from ${formatClock(this.#heard)}; trying again …`));
  }

  #problem(error) {
    this.problem.hidden = !error;
    this.problem.textContent = error?.message ?? "";
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open) return;
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    const keys = {
      "?": () => this.dialog.showModal(),
      t: () => this.#nextTheme(),
      l: () => this.#go(null),
      d: () => this.#go("#/distributions"),
    };
    const known = Object.hasOwn(keys, event.key);
    if (known) keys[event.key]();
    if (known || this.#view.key(event)) event.preventDefault();
  }

  #nextTheme() {
    this.#nameTheme(nextTheme());
  }

  #nameTheme(choice) {
    this.theme.textContent = THEME_SIGNS[choice];
    this.theme.title = `Colours: ${choice === "auto" ? "as the system" : choice}`;
    this.theme.setAttribute("aria-label", this.theme.title);
  }
}

function brand() {
  const bars = [
    [0, 2, "first"],
    [7, 9, "rest"],
    [11, 7, "rest"],
    [15, 10, "rest"],
    [19, 5, "rest"],
    [23, 8, "rest"],
  ];
  return svg(
    "svg",
    { viewBox: "0 0 26 16", "aria-hidden": "true" },
    bars.map(([x, y, kind]) =>
      svg("rect", { x, y, width: kind === "first" ? 4 : 2.6, height: 15 - y, rx: 1, class: kind }),
    ),
  );
}

new Page(savedTrace()).start();

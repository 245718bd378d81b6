// How streams behave as a whole: histograms of four figures by model, route or service, and two windows
// of time against each other.

import { ask, Refresher } from "./api.js";
import { h, put } from "./dom.js";
import { FILTER_NAMES } from "./filters.js";
import { formatCount, formatNumber, formatSeconds } from "./format.js";
import { domainOf, histogram } from "./histogram.js";
import { routeTo } from "./route.js";
import { WindowPicker, windowsOf } from "./windows.js";

const METRICS = [
  { key: "time_to_first_token_s", label: "Time to first token", format: formatSeconds, betterLow: true },
  { key: "inter_token_latency_s", label: "Inter-token latency (gaps)", format: formatSeconds, betterLow: true },
  { key: "time_per_output_token_s", label: "Time per output token", format: formatSeconds, betterLow: true },
  { key: "tokens_per_second", label: "Tokens per second", format: formatNumber, betterLow: false },
];
const GROUPINGS = { model: "by model", route: "by route", service: "by service", all: "all together" };

/** The view at `#/distributions`. */
export class DistributionsView {
  #query = {};
  #asked = 0;
  #refresher = new Refresher(() => this.#refresh(), 2000);

  constructor({ go, problem }) {
    Object.assign(this, { go, problem });
    this.by = h(
      "select",
      { "aria-label": "Group", on: { change: () => this.#set({ by: this.by.value }) } },
      Object.entries(GROUPINGS).map(([value, text]) => h("option", { value }, text)),
    );
    this.picker = new WindowPicker((edges) => this.#set(edges));
    this.filter = h("span", { class: "dim" });
    this.legend = h("span", { class: "ab-legend dim", hidden: true });
    this.groups = h("div", { class: "groups" });
    this.root = h(
      "section",
      { class: "view distributions" },
      h(
        "div",
        { class: "controls" },
        this.by,
        this.picker.root,
        this.legend,
        this.filter,
        h(
          "span",
          { class: "key dim" },
          ["p50", "p90", "p95", "p99"].map((key) => h("span", { class: key }, key)),
        ),
      ),
      this.groups,
    );
  }

  /** Show what `query` names. */
  show({ query }) {
    this.#query = query;
    this.by.value = query.by?.[0] ?? "model";
    this.picker.show(query);
    const filters = FILTER_NAMES.filter((name) => query[name]?.length).map(
      (name) => `${name} ${query[name].join(", ")}`,
    );
    put(this.filter, filters.length ? `Only ${filters.join("; ")}` : null);
    this.#refresher.hurry();
  }

  hide() {
    this.#refresher.stop();
  }

  /** Something is new in the store. */
  changed() {
    this.#refresher.poke();
  }

  /** Take a key. */
  key(event) {
    if (event.key !== "Escape") return false;
    this.go(null);
    return true;
  }

  #set(change) {
    this.go(routeTo("distributions", [], { ...this.#query, ...change }), true);
  }

  async #refresh() {
    const asked = (this.#asked += 1);
    const filter = Object.fromEntries(
      FILTER_NAMES.filter((name) => this.#query[name]).map((name) => [name, this.#query[name]]),
    );
    const windows = windowsOf(this.#query, Date.now());
    try {
      const answers = await Promise.all(
        windows.map(({ since_ms, until_ms }) => {
          const edges = windows.length > 1 ? { since_ms, until_ms } : {};
          return ask("/api/distributions", { ...filter, ...edges, by: this.by.value });
        }),
      );
      if (asked !== this.#asked) return;
      this.problem(null);
      this.#put(windows, answers);
    } catch (error) {
      this.problem(error);
    }
  }

  #put(windows, answers) {
    const groups = joinGroups(answers);
    const domains = Object.fromEntries(
      METRICS.map(({ key }) => [key, domainOf(groups.flatMap((group) => group.sets.map((set) => set?.[key])))]),
    );
    this.legend.hidden = windows.length < 2;
    put(
      this.legend,
      windows.length < 2
        ? null
        : windows.map(({ name }, index) => [
            h("span", { class: index ? "swatch-b" : "swatch-a", "aria-hidden": "true" }),
            `${"AB"[index]} ${name} `,
          ]),
    );
    if (!groups.length) {
      put(
        this.groups,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, "No stream in sight"),
          h("p", {}, "None has ended in the time and with the filter chosen."),
        ),
      );
      return;
    }
    put(
      this.groups,
      groups.map(({ key, sets }) =>
        h(
          "article",
          { class: "group" },
          h(
            "h2",
            {},
            key || "(not told)",
            h("span", { class: "dim" }, sets.map((set) => formatCount(set?.count ?? 0, "stream")).join(" vs ")),
          ),
          h(
            "div",
            { class: "multiples" },
            METRICS.map((metric) =>
              histogram(
                sets.map((set, index) => ({ dist: set?.[metric.key] ?? null, name: windows[index].name })),
                domains[metric.key],
                metric,
              ),
            ),
          ),
        ),
      ),
    );
  }
}

function joinGroups(answers) {
  const joined = new Map();
  answers.forEach(({ groups }, index) => {
    for (const group of groups) {
      if (!joined.has(group.key)) joined.set(group.key, new Array(answers.length).fill(null));
      joined.get(group.key)[index] = group;
    }
  });
  const size = (sets) => sets.reduce((sum, set) => sum + (set?.count ?? 0), 0);
  return [...joined].map(([key, sets]) => ({ key, sets })).sort((a, b) => size(b.sets) - size(a.sets));
}

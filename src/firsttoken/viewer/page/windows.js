// Two windows of time: which, and the controls that choose them. Pure but for the controls' elements.

import { h, put } from "./dom.js";

const MINUTE = 60;
const HOUR = 3600;
const OWN = "own";
const LATEST_MS = 8e15;

/** Pairs of windows by the seconds that each is long. */
const PRESETS = [
  ["", "everything"],
  [String(5 * MINUTE), "last 5 min vs the 5 before"],
  [String(30 * MINUTE), "last 30 min vs the 30 before"],
  [String(HOUR), "last hour vs the hour before"],
  [String(24 * HOUR), "last day vs the day before"],
  [OWN, "two windows of my own …"],
];
const EDGES = ["a_since", "a_until", "b_since", "b_until"];

/** Return the windows that a query names: `[{name, since_ms, until_ms}]`, one if there is nothing to compare. */
export function windowsOf(query, nowMs) {
  const chosen = query.window?.[0] ?? "";
  if (chosen === OWN) {
    const edge = (name) => momentOf(query[name]?.[0]);
    return [
      { name: "window A", since_ms: edge("a_since"), until_ms: edge("a_until") },
      { name: "window B", since_ms: edge("b_since"), until_ms: edge("b_until") },
    ];
  }
  const lengthMs = Number(chosen) * 1000;
  if (!(lengthMs > 0)) return [{ name: "everything", since_ms: null, until_ms: null }];
  return [
    { name: "now", since_ms: nowMs - lengthMs, until_ms: null },
    { name: "before", since_ms: nowMs - 2 * lengthMs, until_ms: nowMs - lengthMs },
  ];
}

/** The controls. `changed({window, a_since, ...})` is called with what the user chose. */
export class WindowPicker {
  #inputs = {};

  constructor(changed) {
    this.changed = changed;
    this.preset = h(
      "select",
      { "aria-label": "Windows of time", on: { change: () => this.#tell() } },
      PRESETS.map(([value, text]) => h("option", { value }, text)),
    );
    for (const name of EDGES) {
      const label = `Window ${name[0].toUpperCase()}, ${name.endsWith("since") ? "from" : "until"}`;
      this.#inputs[name] = h("input", {
        type: "datetime-local",
        step: "1",
        "aria-label": label,
        on: { change: () => this.#tell() },
      });
    }
    this.own = h("span", { class: "own-windows", hidden: true });
    put(
      this.own,
      ["a", "b"].map((kind) =>
        h(
          "span",
          { class: `window-${kind}` },
          h("b", {}, kind.toUpperCase()),
          " ",
          this.#inputs[`${kind}_since`],
          " to ",
          this.#inputs[`${kind}_until`],
        ),
      ),
    );
    this.root = h("span", { class: "windows" }, this.preset, this.own);
  }

  /** Show what a query names. */
  show(query) {
    this.preset.value = query.window?.[0] ?? "";
    this.own.hidden = this.preset.value !== OWN;
    for (const name of EDGES) {
      const unixMs = momentOf(query[name]?.[0]);
      this.#inputs[name].value = unixMs === null ? "" : localTime(unixMs);
    }
  }

  #tell() {
    const own = this.preset.value === OWN;
    const edges = EDGES.map((name) => [
      name,
      own && this.#inputs[name].value ? String(new Date(this.#inputs[name].value).getTime()) : null,
    ]);
    this.changed({ window: this.preset.value || null, ...Object.fromEntries(edges) });
  }
}

// An address may say anything: what is no time that a date can have is none.
function momentOf(text) {
  const unixMs = text ? Number(text) : NaN;
  return Math.abs(unixMs) <= LATEST_MS ? unixMs : null;
}

function localTime(unixMs) {
  const date = new Date(unixMs - new Date(unixMs).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
}

// The keys, in a dialog.

import { h } from "./dom.js";
import { CAUSES } from "./words.js";

const KEYS = [
  ["j k ↓ ↑", "next and previous stream"],
  ["Enter", "open it"],
  ["x", "choose it for comparison"],
  ["c", "compare the two chosen"],
  ["/", "search"],
  ["Esc", "back, or let go"],
  ["l d", "streams, distributions"],
  ["t", "light, dark, as the system"],
  ["?", "these keys"],
];
const TRACE_KEYS = [
  ["+ − 0", "zoom in, out, see all"],
  ["← →", "move in time"],
  ["↓ ↑", "next and previous span"],
  ["n p", "next and previous stall"],
  [". ,", "next and previous chunk"],
];

/** Return the dialog; `showModal()` shows it. */
export function helpDialog() {
  const dialog = h(
    "dialog",
    { "aria-label": "Keys", on: { click: (event) => event.target === dialog && dialog.close() } },
    h("h2", {}, "Keys"),
    keyList(KEYS),
    h("h2", {}, "In a trace"),
    keyList(TRACE_KEYS),
    h("h2", {}, "Causes of stalls"),
    h(
      "dl",
      { class: "keys" },
      Object.entries(CAUSES).map(([name, { sign, label, says }]) => [
        h("dt", { class: `cause cause-${name}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign), label),
        h("dd", {}, says),
      ]),
    ),
    h("button", { type: "button", on: { click: () => dialog.close() } }, "Close"),
  );
  return dialog;
}

function keyList(keys) {
  return h(
    "dl",
    { class: "keys" },
    keys.map(([names, does]) => [
      h(
        "dt",
        {},
        names.split(" ").map((name) => [h("kbd", {}, name), " "]),
      ),
      h("dd", {}, does),
    ]),
  );
}

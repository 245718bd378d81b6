// What is said where there is nothing to see: how to send something.

import { copyText, h } from "./dom.js";

/** Return what to show instead of an empty list. */
export function emptyList(filtered) {
  if (filtered)
    return h(
      "div",
      { class: "empty" },
      h("h2", {}, "No stream matches"),
      h("p", {}, "Loosen the filter, or press Clear."),
    );
  const endpoint = location.origin;
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, "Waiting for the first stream"),
    h("p", {}, "It appears here by itself. Tell your program where to send its traces:"),
    snippet(`export OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}`),
    h("p", {}, "and wrap a stream in it, with three lines of Python:"),
    snippet(
      "import firsttoken\n\n" +
        'firsttoken.configure(service_name="chat")\n' +
        'stream = firsttoken.trace_stream(your_stream, model="your-model")',
    ),
    h("p", {}, "No program at hand? This sends five streams, one of which blocks the event loop:"),
    snippet(`OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint} firsttoken demo`),
  );
}

function snippet(text) {
  const button = h("button", { type: "button", class: "quiet copy", on: { click: copy } }, "Copy");
  return h("div", { class: "snippet" }, h("pre", {}, h("code", {}, text)), button);

  async function copy() {
    button.textContent = (await copyText(text)) ? "Copied" : "Not allowed";
  }
}

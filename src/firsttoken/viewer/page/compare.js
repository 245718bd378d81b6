// Two streams side by side: the same time axis from the request on, and their figures with the difference.

import { ask, tracePath } from "./api.js";
import { withBlocks } from "./blocks.js";
import { h, put } from "./dom.js";
import { formatClock, formatNumber, formatSeconds } from "./format.js";
import { changeCell } from "./histogram.js";
import { traceRoute } from "./route.js";
import { Timeline } from "./timeline.js";
import { verdictBox } from "./verdict.js";

const FIGURES = [
  ["Time to first token", "time_to_first_token_s", formatSeconds, true],
  ["Duration", "duration_s", formatSeconds, true],
  ["Output tokens", "output_tokens", formatNumber, null],
  ["Tokens per second", "tokens_per_second", formatNumber, false],
  ["Time per output token", "time_per_output_token_s", formatSeconds, true],
  ["Gap p50", "gap_p50_s", formatSeconds, true],
  ["Gap p95", "gap_p95_s", formatSeconds, true],
  ["Gap p99", "gap_p99_s", formatSeconds, true],
  ["Longest gap", "gap_max_s", formatSeconds, true],
  ["Stalls", "stall_count", formatNumber, true],
  ["Waited for the source", "wait_s", formatSeconds, true],
  ["Held by the consumer", "hold_s", formatSeconds, true],
  ["Event loop blocked", "loop_blocked_s", formatSeconds, true],
];

/** The view at `#/compare/<trace>/<span>/<trace>/<span>`. */
export class CompareView {
  #asked = 0;

  constructor({ go, problem }) {
    Object.assign(this, { go, problem });
    this.timeline = new Timeline({ chosen: (spanId) => this.timeline.select(spanId) });
    this.heads = h("div", { class: "heads" });
    this.table = h("table", { class: "figures-table" });
    this.body = h("div", { class: "trace-body" }, this.heads, this.timeline.root, this.table);
    this.note = h("div", { class: "empty", hidden: true });
    this.root = h("section", { class: "view trace compare" }, this.note, this.body);
  }

  /** Show the two streams that the path names. */
  async show({ path }) {
    const asked = (this.#asked += 1);
    this.body.hidden = true;
    this.note.hidden = true;
    try {
      const [first, second] = await Promise.all([stream(path[0], path[1]), stream(path[2], path[3])]);
      if (asked !== this.#asked) return;
      this.problem(null);
      this.#put([first, second]);
    } catch (error) {
      if (asked !== this.#asked) return;
      if (error.status !== 404) this.problem(error);
      this.note.hidden = error.status !== 404;
      put(
        this.note,
        h("h2", {}, "These two cannot be compared"),
        h("p", {}, error.message),
        h("p", {}, h("a", { href: "#/" }, "Back to the streams")),
      );
    }
  }

  hide() {
    this.timeline.leave();
  }

  changed() {}

  /** Take a key. */
  key(event) {
    if (event.key !== "Escape") return false;
    this.go(null);
    return true;
  }

  #put(spans) {
    this.body.hidden = false;
    spans = withBlocks(spans);
    put(
      this.heads,
      spans.map((span, index) =>
        h(
          "div",
          { class: "side" },
          h(
            "h2",
            {},
            h("span", { class: "letter" }, "AB"[index]),
            h("a", { href: traceRoute(span.stream.trace_id, span.span_id) }, span.stream.model ?? span.name),
            h(
              "span",
              { class: "dim" },
              [span.stream.route, span.stream.outcome, formatClock(span.stream.start_ms)].filter(Boolean).join(" · "),
            ),
          ),
          verdictBox(span.stream),
        ),
      ),
    );
    const lanes = spans.map((span, index) => ({
      ...span,
      span_id: `${"AB"[index]} ${span.span_id}`,
      parent_id: null,
      start_s: 0,
      name: `${"AB"[index]}  ${span.stream.model ?? span.name}`,
    }));
    this.timeline.set(lanes, Math.max(...lanes.map((lane) => lane.duration_s)), true);
    const [a, b] = spans.map((span) => span.stream);
    put(
      this.table,
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["", "A", "B", "B against A"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        FIGURES.map(([label, key, format, betterLow]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, label),
            h("td", {}, format(a[key])),
            h("td", {}, format(b[key])),
            changeCell(b[key], a[key], betterLow),
          ),
        ),
      ),
    );
  }
}

async function stream(traceId, spanId) {
  const trace = await ask(tracePath(traceId ?? ""));
  const span = trace.spans.find((one) => one.span_id === spanId && one.stream);
  if (!span) throw Object.assign(new Error(`Trace ${traceId} has no stream ${spanId}.`), { status: 404 });
  return span;
}

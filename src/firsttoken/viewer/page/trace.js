// One trace: the verdict first, then its figures, the timeline, and the selected span in full.

import { ask, Refresher, tracePath } from "./api.js";
import { withBlocks } from "./blocks.js";
import { copyText, h, put, safeUrl, saveFile, signed } from "./dom.js";
import { formatCount, formatMoment, formatPlace } from "./format.js";
import { inspector } from "./inspector.js";
import { worstStream } from "./lanes.js";
import { routeTo, traceRoute } from "./route.js";
import { Timeline } from "./timeline.js";
import { budgetBar, factList, verdictBox } from "./verdict.js";
import { culprits, outcomeOf } from "./words.js";

const SETTLING_MS = 60_000;

/** The view at `#/trace/...`; with `saved` it shows that trace and asks nobody. */
export class TraceView {
  #trace = null;
  #id = null;
  #spanId = null;
  #until = 0;
  #asked = 0;
  #refresher = new Refresher(() => this.#load(), 500);

  constructor({ go, problem, saved = null }) {
    Object.assign(this, { go, problem, saved });
    this.title = h("div", { class: "trace-title" });
    this.lead = h("div", { class: "lead" });
    this.figures = h("div", { class: "figures" });
    this.note = h("div", { class: "empty", hidden: true });
    this.legend = h(
      "p",
      { class: "hint dim" },
      "Wheel or + − to zoom, drag to pan, double click to see all, n and p for the next and previous stall.",
    );
    this.details = h("div", { class: "details" });
    this.timeline = new Timeline({ chosen: (spanId) => this.#choose(spanId) });
    this.body = h(
      "div",
      { class: "trace-body" },
      this.lead,
      this.figures,
      this.timeline.root,
      this.legend,
      this.details,
    );
    this.root = h("section", { class: "view trace" }, this.title, this.note, this.body);
  }

  /** Show a trace, and one of its spans if the path names it. */
  show({ path: [traceId, spanId] }) {
    const other = traceId !== this.#id;
    this.#id = traceId;
    this.#spanId = spanId ?? null;
    if (!other && this.#trace) {
      this.#select();
      return;
    }
    this.#trace = null;
    this.body.hidden = true;
    put(this.title);
    this.#until = performance.now() + SETTLING_MS;
    this.root.scrollTop = 0;
    if (this.saved) this.#put(this.saved, true);
    else this.#refresher.hurry();
  }

  /** Stop looking. */
  hide() {
    this.timeline.leave();
    this.#refresher.stop();
  }

  /** Something is new: spans of this trace may have come late, or it has just ended. */
  changed() {
    if (!this.saved && (!this.#trace || performance.now() < this.#until)) this.#refresher.poke();
  }

  /** Take a key that the timeline did not. */
  key(event) {
    if (event.key === "Escape") return (this.go(null), true);
    if (["+", "=", "-", "0", "n", "p", ",", "."].includes(event.key)) {
      this.timeline.root.focus();
      this.timeline.root.dispatchEvent(new KeyboardEvent("keydown", { key: event.key }));
      return true;
    }
    return false;
  }

  async #load() {
    const asked = (this.#asked += 1);
    try {
      const trace = await ask(tracePath(this.#id));
      if (asked !== this.#asked || trace.trace_id !== this.#id) return;
      this.problem(null);
      const grown = trace.spans.length !== this.#trace?.spans.length || trace.duration_s !== this.#trace?.duration_s;
      if (grown) this.#put(trace, this.#trace === null);
    } catch (error) {
      if (asked !== this.#asked) return;
      if (error.status === 404) this.#missing();
      else this.problem(error);
    }
  }

  #missing() {
    this.problem(null);
    this.note.hidden = false;
    put(
      this.note,
      h("h2", {}, "Not here yet"),
      h(
        "p",
        {},
        "No span of this trace has arrived. A stream is told at its end: if it still runs, it appears here by itself.",
      ),
      h("p", {}, h("a", { href: "#/" }, "Back to the streams")),
    );
  }

  #put(trace, anew) {
    this.#trace = trace;
    this.#id = trace.trace_id;
    this.note.hidden = true;
    this.body.hidden = false;
    this.spans = withBlocks(trace.spans);
    this.timeline.set(this.spans, trace.duration_s, anew);
    this.#select();
    // What was focused has gone with the list: who tabs or listens goes on from here.
    if (anew && document.activeElement === document.body) this.title.querySelector("h1").focus({ preventScroll: true });
  }

  #choose(spanId) {
    if (this.saved) {
      this.#spanId = spanId;
      this.#select();
    } else {
      this.go(traceRoute(this.#id, spanId), true);
    }
  }

  #select() {
    const { spans } = this;
    const worst = worstStream(spans);
    const span = spans.find((one) => one.span_id === this.#spanId) ?? worst ?? spans[0];
    const stream = span?.stream ?? worst?.stream;
    this.timeline.select(span?.span_id);
    put(this.title, this.#heading(stream, span), this.#actions());
    document.title = `${stream?.model ?? span?.name ?? "trace"} · firsttoken`;
    const others = h("span", { class: "others" });
    put(this.lead, stream ? verdictBox(stream, others) : null);
    put(this.figures, stream ? [factList(stream), budgetBar(stream)] : null);
    put(this.details, span ? inspector(span, (stall) => this.#zoomTo(span, stall)) : null);
    if (stream && !this.saved) this.#findOthers(stream, others);
  }

  #zoomTo(span, stall) {
    this.timeline.showStall(span, stall);
    this.timeline.root.scrollIntoView({ block: "nearest" });
  }

  #heading(stream, span) {
    const { trace_id: id, start_ms: startMs, spans } = this.#trace;
    const outcome = stream?.outcome;
    return h(
      "div",
      { class: "heading" },
      h("h1", { tabindex: "-1" }, stream?.model ?? stream?.name ?? span?.name ?? "Trace"),
      stream?.route ? h("span", { class: "route" }, stream.route) : null,
      outcome
        ? signed(outcomeOf(outcome).sign, outcome, {
            class: `outcome outcome-${outcome}`,
            title: outcomeOf(outcome).says,
          })
        : null,
      h(
        "span",
        { class: "dim" },
        [stream?.service ?? span?.service, formatMoment(startMs), formatCount(spans.length, "span")]
          .filter(Boolean)
          .join(" · "),
      ),
      h("span", { class: "dim mono id", title: `Trace ${id}` }, id),
    );
  }

  #actions() {
    const { otlp, page, jaeger, otlp_json: otlpJson, trace_id: id } = this.#trace;
    const copy = h("button", { type: "button", on: { click: () => this.#copy(copy) } }, "Copy JSON");
    const name = `trace-${id}.otlp.json`;
    return h(
      "div",
      { class: "actions" },
      copy,
      otlpJson
        ? h(
            "button",
            { type: "button", on: { click: () => saveFile(name, "application/json", JSON.stringify(otlpJson)) } },
            "OTLP JSON",
          )
        : null,
      !this.saved && safeUrl(otlp)
        ? h("a", { class: "button", href: safeUrl(otlp), download: name }, "OTLP JSON")
        : null,
      !this.saved && safeUrl(page)
        ? h("a", { class: "button", href: safeUrl(page), download: `trace-${id}.html` }, "One HTML file")
        : null,
      safeUrl(jaeger)
        ? h(
            "a",
            { class: "button", href: safeUrl(jaeger), target: "_blank", rel: "noopener noreferrer" },
            "Open in Jaeger",
          )
        : null,
    );
  }

  async #copy(button) {
    const copied = await copyText(JSON.stringify(this.#trace, null, 1));
    button.textContent = copied ? "Copied" : "Not allowed";
  }

  // The event loop is shared: what blocked this stream blocked the others that ran then.
  async #findOthers(stream, line) {
    const [culprit] = culprits(stream.stalls);
    if (!culprit?.known) return;
    const q = culprit.function ?? formatPlace(culprit.file);
    const found = await ask("/api/streams", { q, cause: "event_loop", limit: 1000 }).catch(() => null);
    const same = (stall) => stall.file === culprit.file && stall.line === culprit.line;
    const others = (found?.streams ?? []).filter((one) => one.span_id !== stream.span_id && one.stalls.some(same));
    if (!others.length) return;
    put(
      line,
      `The same line stalled ${formatCount(others.length, "other stream")}. `,
      h("a", { href: routeTo("list", [], { q, cause: "event_loop" }) }, others.length === 1 ? "See it" : "See them"),
    );
  }
}

// The canvas of a trace: draws when something changed, and turns pointer, wheel and keys into looking around.

import { h } from "./dom.js";
import { formatSeconds } from "./format.js";
import { laneAt, layLanes, reachAt, streamAt } from "./lanes.js";
import { AXIS_HEIGHT, MINIMAP_HEIGHT, paintAxis, paintCrosshair, paintLanes, paintMinimap } from "./paint.js";
import { fitCanvas } from "./sparkline.js";
import { Pointers } from "./pointers.js";
import { onTheme } from "./theme.js";
import { Tooltip, spanTip, streamTip } from "./tooltip.js";
import { Viewport } from "./viewport.js";
import { causeOf } from "./words.js";

const HEADER = MINIMAP_HEIGHT + AXIS_HEIGHT;
const GUTTER = 208;
const EDGE = 14;
const NARROW_PX = 640;
const TALLEST = 460;
const HELP =
  "Time axis of the trace. Plus and minus zoom, left and right move, 0 shows all, n and p go to the next and " +
  "previous stall, comma and period step through chunks, up and down choose a span.";

/** Draws spans on one time axis. `chosen(spanId)` is called when the user picks one. */
export class Timeline {
  viewport = new Viewport(1);
  lanes = [];
  selected = null;
  hovered = null;
  #spans = [];
  #cursor = null;
  #wanted = false;

  constructor({ chosen }) {
    this.chosen = chosen;
    this.canvas = h("canvas");
    this.said = h("div", { class: "offscreen", "aria-live": "polite" });
    this.spacer = h("div", { class: "timeline-spacer" }, this.canvas);
    this.root = h(
      "div",
      { class: "timeline", tabindex: "0", role: "application", "aria-label": HELP },
      this.spacer,
      this.said,
    );
    this.tooltip = new Tooltip();
    document.body.append(this.tooltip.root);
    this.pointers = new Pointers(this.root, this);
    this.root.addEventListener("scroll", () => this.invalidate(), { passive: true });
    this.root.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.invalidate()).observe(this.root);
    onTheme(() => this.invalidate());
  }

  /** Show the spans of a trace; `anew` forgets where one was looking. */
  set(spans, durationS, anew) {
    this.#spans = spans;
    const { lanes, height } = layLanes(spans);
    this.lanes = lanes;
    this.spacer.style.height = `${HEADER + height + 6}px`;
    this.root.style.height = `${Math.min(HEADER + height + 8, TALLEST)}px`;
    this.viewport.extend(durationS);
    if (anew) {
      this.viewport.reset();
      this.root.scrollTop = 0;
    }
    this.hovered = null;
    this.invalidate();
  }

  /** Mark a span as selected, and bring its lane into sight. */
  select(spanId) {
    this.selected = spanId;
    const lane = this.lanes.find((one) => one.span.span_id === spanId);
    if (lane) {
      const { scrollTop, clientHeight } = this.root;
      const room = clientHeight - HEADER;
      if (lane.top < scrollTop) this.root.scrollTop = lane.top;
      else if (lane.top + lane.height > scrollTop + room) this.root.scrollTop = lane.top + lane.height - room;
    }
    this.invalidate();
  }

  /** Zoom to a stall of a stream, with as much around it. */
  showStall(span, stall) {
    const from = span.start_s + stall.at_s;
    this.viewport.show(from - stall.duration_s, from + 2 * stall.duration_s);
    this.say(
      `Stall of ${formatSeconds(stall.duration_s)} at ${formatSeconds(stall.at_s)}, ${causeOf(stall.cause).label}`,
    );
    this.invalidate();
  }

  /** Draw soon. */
  invalidate() {
    if (this.#wanted) return;
    this.#wanted = true;
    requestAnimationFrame(() => {
      this.#wanted = false;
      this.#draw();
    });
  }

  /** Tell a screen reader. */
  say(text) {
    this.said.textContent = text;
  }

  /** Return which part of the canvas a point is in: `minimap`, `gutter` or `lanes`. */
  partAt(x, y) {
    if (y < MINIMAP_HEIGHT) return "minimap";
    return x < this.viewport.left - EDGE ? "gutter" : "lanes";
  }

  /** Look at the stretch of the trace between two pixels of the minimap; a click moves the window there. */
  lookAt(fromX, toX) {
    const { left, width, from, to, first, last } = this.viewport;
    const time = (x) => first + ((x - left) / width) * (last - first);
    if (Math.abs(toX - fromX) > 4) this.viewport.show(time(Math.min(fromX, toX)), time(Math.max(fromX, toX)));
    else if (!this.viewport.isWhole) this.viewport.show(time(toX) - (to - from) / 2, time(toX) + (to - from) / 2);
    this.invalidate();
  }

  /** The pointer is at a point of the canvas (x, y), and of the window. */
  hover(x, y, clientX, clientY) {
    this.#cursor = x >= this.viewport.left ? x : null;
    const lane = y > HEADER ? laneAt(this.lanes, y - HEADER + this.root.scrollTop) : null;
    this.hovered = lane ? { lane, index: null } : null;
    this.invalidate();
    if (!lane || this.partAt(x, y) !== "lanes") {
      if (lane) this.tooltip.show(spanTip(lane.span), clientX, clientY);
      else this.tooltip.hide();
      return;
    }
    const { stream, start_s: startS } = lane.span;
    if (!stream) {
      this.tooltip.show(spanTip(lane.span), clientX, clientY);
      return;
    }
    const timeS = this.viewport.time(x) - startS;
    if (timeS < -reachAt(this.viewport) || timeS > stream.duration_s + reachAt(this.viewport)) {
      this.tooltip.hide();
      return;
    }
    const at = streamAt(stream, timeS, reachAt(this.viewport));
    this.hovered.index = at.index;
    this.tooltip.show(streamTip(stream, at, timeS), clientX, clientY);
  }

  /** The pointer has gone. */
  leave() {
    this.#cursor = null;
    this.hovered = null;
    this.tooltip.hide();
    this.invalidate();
  }

  /** A point was clicked. */
  click(x, y) {
    const lane = y > HEADER ? laneAt(this.lanes, y - HEADER + this.root.scrollTop) : null;
    if (lane) this.chosen(lane.span.span_id);
  }

  #draw() {
    const width = this.root.clientWidth;
    const height = this.root.clientHeight;
    if (!width || !height) return;
    const gutter = width < NARROW_PX ? 0 : GUTTER;
    this.viewport.place(gutter + EDGE, width - gutter - 2 * EDGE);
    // What is in sight, for whoever cannot see the canvas.
    this.root.dataset.from = this.viewport.from.toFixed(6);
    this.root.dataset.to = this.viewport.to.toFixed(6);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.#sharpen();
    const context = fitCanvas(this.canvas, width, height);
    const look = {
      top: HEADER,
      bottom: height,
      offset: this.root.scrollTop,
      gutter,
      hovered: this.hovered,
      selected: this.selected,
      width,
    };
    paintAxis(context, this.viewport, MINIMAP_HEIGHT, height);
    context.save();
    context.beginPath();
    context.rect(0, HEADER, width, height - HEADER);
    context.clip();
    paintLanes(context, this.viewport, this.lanes, look);
    context.restore();
    paintMinimap(context, this.viewport, this.#spans);
    if (this.#cursor !== null) paintCrosshair(context, this.viewport, this.#cursor, MINIMAP_HEIGHT, height);
  }

  // Text above may end between two pixels; a canvas that begins there is blurred.
  #sharpen() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.transform = "";
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [left, top].map((edge) => (Math.round(edge * ratio) - edge * ratio) / ratio);
    this.canvas.style.transform = `translate(${x}px, ${y}px)`;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { viewport } = this;
    const keys = {
      "+": () => viewport.zoom(1.5),
      "=": () => viewport.zoom(1.5),
      "-": () => viewport.zoom(1 / 1.5),
      _: () => viewport.zoom(1 / 1.5),
      0: () => viewport.reset(),
      ArrowLeft: () => viewport.pan(-80),
      ArrowRight: () => viewport.pan(80),
      ArrowDown: () => this.#step(1),
      ArrowUp: () => this.#step(-1),
      n: () => this.#nextStall(1),
      p: () => this.#nextStall(-1),
      ".": () => this.#nextChunk(1),
      ",": () => this.#nextChunk(-1),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    // What the pointer was on is elsewhere now.
    this.#cursor = null;
    this.tooltip.hide();
    keys[event.key]();
    event.preventDefault();
    event.stopPropagation();
    this.invalidate();
  }

  #step(by) {
    const at = this.lanes.findIndex((lane) => lane.span.span_id === this.selected);
    const next = this.lanes[Math.max(0, Math.min(this.lanes.length - 1, at + by))];
    if (!next) return;
    this.chosen(next.span.span_id);
    this.say(`${next.span.name}, ${formatSeconds(next.span.duration_s)}`);
  }

  #lane() {
    const streams = this.lanes.filter((lane) => lane.span.stream);
    return streams.find((lane) => lane.span.span_id === this.selected) ?? streams[0];
  }

  #nextStall(by) {
    const lane = this.#lane();
    const stalls = lane?.span.stream.stalls ?? [];
    if (!stalls.length) return;
    this.stall = ((((this.stall ?? (by > 0 ? -1 : 0)) + by) % stalls.length) + stalls.length) % stalls.length;
    this.showStall(lane.span, stalls[this.stall]);
  }

  #nextChunk(by) {
    const lane = this.#lane();
    const arrivals = lane?.span.stream.arrivals_s ?? [];
    if (!arrivals.length) return;
    const before = this.hovered?.lane === lane ? (this.hovered.index ?? -1) : -1;
    const index = Math.max(0, Math.min(arrivals.length - 1, before + by));
    this.hovered = { lane, index };
    const at = lane.span.start_s + arrivals[index];
    const half = (this.viewport.to - this.viewport.from) / 2;
    if (at < this.viewport.from || at > this.viewport.to) this.viewport.show(at - half, at + half);
    const tip = streamTip(lane.span.stream, { index, stall: null, phase: "streaming" }, arrivals[index]);
    this.say(h("div", {}, tip).textContent);
    const box = this.root.getBoundingClientRect();
    const y = box.top + HEADER + lane.top - this.root.scrollTop + lane.height;
    this.tooltip.show(tip, box.left + this.viewport.x(at), y);
  }
}

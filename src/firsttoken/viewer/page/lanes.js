// The spans of a trace as lanes, parents above their children; and what lies under the pointer. Pure.

import { firstAt } from "./viewport.js";

const SPAN_HEIGHT = 24;
const STREAM_HEIGHT = 74;
const REACH_PX = 8;
const SLICES = 400;
const skylines = new WeakMap();

/** Return lanes in drawing order: `{span, depth, top, height}`; and their height together. */
export function layLanes(spans) {
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map();
  for (const span of spans) {
    const parent = known.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const lanes = [];
  const seen = new Set();
  let top = 0;
  const stack = [...(children.get(null) ?? [])].reverse().map((span) => ({ span, depth: 0 }));
  const walk = () => {
    while (stack.length) {
      const { span, depth } = stack.pop();
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      const height = span.stream ? STREAM_HEIGHT : SPAN_HEIGHT;
      lanes.push({ span, depth, top, height });
      top += height;
      for (const child of [...(children.get(span.span_id) ?? [])].reverse())
        stack.push({ span: child, depth: depth + 1 });
    }
  };
  walk();
  // Spans that name each other as parents hang on no root: they are shown all the same.
  for (const span of spans) {
    if (seen.has(span.span_id)) continue;
    stack.push({ span, depth: 0 });
    walk();
  }
  return { lanes, height: top };
}

/** Return the lane at a height, or null. */
export function laneAt(lanes, y) {
  const index = firstAt(
    lanes.map((lane) => lane.top + lane.height),
    y + 0.001,
  );
  return lanes[index] ?? null;
}

/**
 * Return what of a stream is at a moment: `{index}` of the nearest arrival within reach, and the `stall`
 * around it; `phase` is `waiting` before the first chunk, `streaming`, or `over`.
 *
 * timeS: from the stream's start. reachS: how far an arrival may be away.
 */
export function streamAt(detail, timeS, reachS) {
  const arrivals = detail.arrivals_s;
  const after = firstAt(arrivals, timeS);
  const nearest =
    after > 0 && (after === arrivals.length || timeS - arrivals[after - 1] < arrivals[after] - timeS)
      ? after - 1
      : after;
  const near = arrivals.length > 0 && Math.abs(arrivals[nearest] - timeS) <= reachS;
  const stall = (detail.stalls ?? []).find((one) => timeS >= one.at_s && timeS <= one.at_s + one.duration_s) ?? null;
  const phase = after === 0 ? "waiting" : after === arrivals.length ? "over" : "streaming";
  const inGap = after > 0 && after < arrivals.length ? after : null;
  return { index: near ? nearest : inGap, onToken: near, stall, phase };
}

/** Return how far from an arrival the pointer may be, in seconds. */
export function reachAt(viewport) {
  return viewport.secondsPerPixel * REACH_PX;
}

/** Return the stream to look at first: the one that stalls cost most; else the one that ends the trace. */
export function worstStream(spans) {
  const streams = spans.filter((span) => span.stream);
  const cost = (span) => (span.stream.stalls ?? []).reduce((sum, stall) => sum + stall.duration_s, 0);
  return streams.sort((a, b) => cost(b) - cost(a) || b.duration_s - a.duration_s)[0] ?? null;
}

/** Return the longest gap (s) in each of many equal slices of a stream, stalls and the first wait left out. */
export function skyline(detail) {
  if (skylines.has(detail)) return skylines.get(detail);
  const slices = new Float32Array(SLICES);
  const arrivals = detail.arrivals_s;
  const longest = detail.stall_threshold_s ?? Infinity;
  const scale = SLICES / Math.max(detail.duration_s, 1e-9);
  for (let index = 1; index < arrivals.length; index += 1) {
    const gap = arrivals[index] - arrivals[index - 1];
    if (gap >= longest || arrivals[index] <= (detail.time_to_first_token_s ?? 0) + 5e-6) continue;
    const last = Math.min(SLICES - 1, Math.floor(arrivals[index] * scale));
    for (let at = Math.floor(arrivals[index - 1] * scale); at <= last; at += 1) if (slices[at] < gap) slices[at] = gap;
  }
  skylines.set(detail, slices);
  return slices;
}

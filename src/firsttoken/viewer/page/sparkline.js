// A stream in 150 pixels: the wait, then the longest gap in each slice of time, stalls in their colour.

import { causeColour, heatColour, palette } from "./theme.js";

const SHORTEST_S = 0.001;
const LONGEST_S = 2;
const DECADES = Math.log(LONGEST_S / SHORTEST_S);

/** Return how hot a gap is, 0 for a millisecond to 1 for two seconds, the same in every row. */
export function heatOf(gapS) {
  if (!(gapS > SHORTEST_S)) return 0;
  return Math.min(1, Math.log(gapS / SHORTEST_S) / DECADES);
}

/** Fit a canvas to its box in device pixels; return its context, scaled to CSS pixels. */
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Draw a stream's sparkline into a canvas. */
export function drawSparkline(canvas, stream, width = 150, height = 22) {
  const context = fitCanvas(canvas, width, height);
  const slices = stream.sparkline ?? [];
  const step = width / Math.max(1, slices.length);
  const causes = stallsBySlice(stream, slices.length);
  const base = height - 2;
  const ratio = window.devicePixelRatio || 1;
  slices.forEach((gap, index) => {
    const x = Math.round(index * step * ratio) / ratio;
    const wide = Math.round((index + 1) * step * ratio) / ratio - x;
    if (gap === null || gap === undefined) {
      context.fillStyle = palette().faint;
      context.fillRect(x, base - 1, wide, 1);
      return;
    }
    const heat = heatOf(gap);
    const cause = causes[index];
    const tall = Math.max(1.5, (cause ? 1 : heat * 0.9) * (height - 4));
    context.fillStyle = cause ? causeColour(cause) : heatColour(heat);
    context.fillRect(x, base - tall, wide, tall);
  });
}

function stallsBySlice(stream, count) {
  const causes = new Array(count).fill(null);
  const slice = stream.duration_s / Math.max(1, count);
  for (const stall of stream.stalls ?? []) {
    const first = Math.max(0, Math.floor(stall.at_s / slice));
    const last = Math.min(count - 1, Math.floor((stall.at_s + stall.duration_s) / slice));
    for (let index = first; index <= last; index += 1) causes[index] = stall.cause;
  }
  return causes;
}

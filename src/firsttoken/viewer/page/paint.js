// The trace on its canvas: the minimap, the time axis, names of spans, and their lanes.

import { formatOffset, formatSeconds } from "./format.js";
import { skyline } from "./lanes.js";
import { paintHover, paintStream } from "./paint-stream.js";
import { heatOf } from "./sparkline.js";
import { causeColour, heatColour, palette } from "./theme.js";

/** Height of the minimap and of the axis below it, in pixels. */
export const MINIMAP_HEIGHT = 30;
export const AXIS_HEIGHT = 24;

/** Draw the whole trace in little, with what is in sight marked. */
export function paintMinimap(context, viewport, spans) {
  const { left, width } = viewport;
  const colours = palette();
  const x = (timeS) => left + ((timeS - viewport.first) / (viewport.last - viewport.first)) * width;
  context.fillStyle = colours.wait;
  context.fillRect(left, 4, width, MINIMAP_HEIGHT - 8);
  const streams = spans.filter((span) => span.stream);
  const band = (MINIMAP_HEIGHT - 8) / Math.max(1, streams.length);
  streams.forEach((span, index) => paintBand(context, span, x, 4 + index * band, band));
  if (viewport.isWhole) return;
  const [from, to] = [x(viewport.from), x(viewport.to)];
  context.fillStyle = colours.panel;
  context.globalAlpha = 0.72;
  context.fillRect(left, 4, from - left, MINIMAP_HEIGHT - 8);
  context.fillRect(to, 4, left + width - to, MINIMAP_HEIGHT - 8);
  context.globalAlpha = 1;
  context.strokeStyle = colours.accent;
  context.lineWidth = 1.5;
  context.strokeRect(from, 3, Math.max(3, to - from), MINIMAP_HEIGHT - 6);
}

function paintBand(context, { stream, start_s: startS }, x, top, band) {
  const slices = skyline(stream);
  const slice = stream.duration_s / slices.length;
  slices.forEach((gap, index) => {
    if (!gap) return;
    const high = Math.max(1, heatOf(gap) * (band - 1));
    const from = x(startS + index * slice);
    context.fillStyle = heatColour(heatOf(gap));
    context.fillRect(from, top + band - high, x(startS + (index + 1) * slice) - from + 0.5, high);
  });
  for (const stall of stream.stalls ?? []) {
    const from = x(startS + stall.at_s);
    context.fillStyle = causeColour(stall.cause);
    context.fillRect(from, top, Math.max(2, x(startS + stall.at_s + stall.duration_s) - from), band);
  }
}

/** Draw the axis and the lines of its ticks down to `bottom`. */
export function paintAxis(context, viewport, top, bottom) {
  const colours = palette();
  const ticks = viewport.ticks();
  context.font = `11px ${colours.font}`;
  for (const tick of ticks) {
    const at = Math.round(viewport.x(tick));
    context.fillStyle = colours.line;
    context.fillRect(at, top + 18, 1, bottom - top - 18);
    context.fillStyle = colours.dim;
    const text = formatTick(tick, ticks.length > 1 ? ticks[1] - ticks[0] : tick);
    const wide = context.measureText(text).width;
    if (at + 4 + wide < viewport.left + viewport.width + 8)
      context.fillText(text, Math.max(viewport.left, at - wide / 2), top + 13);
  }
}

/** Draw the lanes between two heights. `look` says what is hovered and selected, and how wide names are. */
export function paintLanes(context, viewport, lanes, { top, bottom, offset, gutter, hovered, selected, width }) {
  for (const lane of lanes) {
    const at = top + lane.top - offset;
    if (at + lane.height < top || at > bottom) continue;
    const placed = { top: at, height: lane.height };
    if (lane.span.span_id === selected) {
      context.fillStyle = palette()["hover"];
      context.fillRect(0, at, width, lane.height);
    }
    context.save();
    context.beginPath();
    context.rect(viewport.left - 8, at, viewport.width + 16, lane.height);
    context.clip();
    if (lane.span.stream) {
      paintStream(context, viewport, lane.span.stream, lane.span.start_s, placed);
      if (hovered?.lane === lane && hovered.index !== null) {
        paintHover(context, viewport, lane.span.stream, lane.span.start_s, placed, hovered.index);
      }
    } else {
      paintSpan(context, viewport, lane.span, placed, gutter === 0);
    }
    context.restore();
    if (gutter > 0) paintName(context, lane, at, gutter);
    else if (lane.span.stream) paintShortName(context, viewport, lane.span, at);
  }
}

/** Draw a line through all lanes at a moment, and say when it is. */
export function paintCrosshair(context, viewport, x, top, bottom) {
  const colours = palette();
  const text = formatOffset(viewport.time(x));
  context.fillStyle = colours.faint;
  context.fillRect(x, top + 16, 1, bottom - top - 16);
  context.font = `600 11px ${colours.font}`;
  const wide = context.measureText(text).width + 10;
  const left = Math.min(Math.max(viewport.left, x - wide / 2), viewport.left + viewport.width - wide);
  context.fillStyle = colours.ink;
  context.beginPath();
  context.roundRect(left, top + 1, wide, 17, 4);
  context.fill();
  context.fillStyle = colours.panel;
  context.fillText(text, left + 5, top + 13);
}

function paintSpan(context, viewport, span, lane, named) {
  const colours = palette();
  const from = viewport.x(span.start_s);
  const wide = Math.max(2, viewport.x(span.start_s + span.duration_s) - from);
  const bad = span.status === "error";
  context.fillStyle = bad ? colours.bad : colours.span;
  context.globalAlpha = bad ? 0.35 : 1;
  context.beginPath();
  context.roundRect(from, lane.top + 5, wide, lane.height - 10, 3);
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = bad ? colours.bad : colours["span-edge"];
  context.lineWidth = 1;
  context.stroke();
  for (const event of span.events) {
    context.fillStyle = colours.ink;
    const at = viewport.x(event.at_s);
    context.fillRect(at - 1, lane.top + 7, 2, lane.height - 14);
  }
  const text = named ? `${span.name}  ${formatSeconds(span.duration_s)}` : formatSeconds(span.duration_s);
  context.font = `11px ${colours.font}`;
  const space = context.measureText(text).width;
  const inside = space + 12 < wide;
  const left = inside
    ? Math.max(from, viewport.left) + 6
    : Math.min(from + wide + 6, viewport.left + viewport.width - space);
  context.fillStyle = colours.dim;
  context.fillText(text, left, lane.top + lane.height / 2 + 4);
}

function paintName(context, lane, top, gutter) {
  const colours = palette();
  const left = 12 + Math.min(lane.depth, 8) * 12;
  const space = gutter - left - 8;
  const { span } = lane;
  const middle = span.stream ? top + 30 : top + lane.height / 2 + 4;
  context.save();
  context.beginPath();
  context.rect(0, top, gutter - 8, lane.height);
  context.clip();
  if (lane.depth) {
    context.fillStyle = colours.line;
    context.fillRect(left - 8, top, 1, lane.height);
  }
  context.fillStyle = span.status === "error" ? colours.bad : colours.ink;
  context.font = `${span.stream ? "600 " : ""}12px ${colours.font}`;
  context.fillText(fitted(context, span.name, space), left, middle);
  if (span.stream) {
    context.fillStyle = colours.dim;
    context.font = `11px ${colours.font}`;
    context.fillText(
      fitted(context, `${span.stream.outcome}, ${formatSeconds(span.stream.duration_s)}`, space),
      left,
      middle + 16,
    );
  }
  context.restore();
}

// Without room beside the lanes a stream's name is written where it waits, or just its first letter.
function paintShortName(context, viewport, span, top) {
  context.font = `600 11px ${palette().font}`;
  const left = viewport.x(span.start_s) + 3;
  const end = viewport.x(span.start_s + (span.stream.time_to_first_token_s ?? span.duration_s));
  const text = [span.name, span.name.slice(0, 1)].find((one) => left + context.measureText(one).width < end);
  context.fillStyle = palette().ink;
  if (text && left >= viewport.left) context.fillText(text, left, top + 30);
}

function fitted(context, text, space) {
  if (context.measureText(text).width <= space) return text;
  let [low, high] = [0, Math.min(text.length, 200)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= space) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

function formatTick(timeS, stepS) {
  if (timeS === 0) return "0";
  if (timeS < 0.9995) return formatSeconds(timeS);
  const decimals = Math.max(0, Math.min(4, Math.ceil(-Math.log10(stepS) - 1e-9)));
  return `${timeS.toFixed(decimals)} s`;
}

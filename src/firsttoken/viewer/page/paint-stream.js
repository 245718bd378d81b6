// One stream drawn as a stream: the wait, every token as a tick, each gap as high and as hot as it was
// long, stalls in the colour and hatching of their cause, and how it ended.

import { formatPlace, formatSeconds } from "./format.js";
import { hatching } from "./hatch.js";
import { heatOf } from "./sparkline.js";
import { causeColour, heatColour, palette } from "./theme.js";
import { firstAt } from "./viewport.js";
import { causeOf } from "./words.js";

const TICKS_TOP = 6;
const TICKS_HEIGHT = 9;
const SKY_TOP = 18;
const SAME_S = 5e-6;

/**
 * Draw a stream.
 *
 * lane: `{top, height}` in pixels of the canvas. startS: of the stream, from the trace's start.
 */
export function paintStream(context, viewport, detail, startS, lane) {
  const box = { top: lane.top + SKY_TOP, base: lane.top + lane.height - 8, ticks: lane.top + TICKS_TOP };
  const x = (timeS) => viewport.x(startS + timeS);
  const first = Math.max(0, firstAt(detail.arrivals_s, firstTokenOf(detail) - SAME_S));
  paintWait(context, viewport, detail, x, box);
  paintBaseline(context, detail, x, box);
  const range = visibleRange(viewport, detail.arrivals_s, startS);
  if (range.count * 3 < viewport.width) paintEach(context, detail, x, box, { ...range, silent: first });
  else paintColumns(context, viewport, detail, startS, box, { ...range, silent: first });
  paintBlocks(context, detail, x, box);
  (detail.stalls ?? []).forEach((stall, index, all) =>
    paintStall(context, viewport, { stall, next: all[index + 1] }, x, box),
  );
  paintFirst(context, viewport, detail, x, box);
  paintEnd(context, detail, x, box);
}

/** Draw a ring around what the pointer is on. */
export function paintHover(context, viewport, detail, startS, lane, index) {
  const arrival = detail.arrivals_s[index];
  if (arrival === undefined) return;
  const at = viewport.x(startS + arrival);
  context.fillStyle = palette().ink;
  context.fillRect(at - 1, lane.top + TICKS_TOP - 2, 2, lane.height - TICKS_TOP - 5);
  if (index > 0) {
    const before = viewport.x(startS + detail.arrivals_s[index - 1]);
    context.fillRect(before, lane.top + lane.height - 7, at - before, 2);
  }
}

function visibleRange(viewport, arrivals, startS) {
  const first = Math.max(0, firstAt(arrivals, viewport.from - startS) - 1);
  const last = Math.min(arrivals.length, firstAt(arrivals, viewport.to - startS) + 1);
  return { first, last, count: last - first };
}

function tall(heat, box) {
  return Math.max(2, (0.06 + 0.94 * heat) * (box.base - box.top) * 0.92);
}

function firstTokenOf(detail) {
  return detail.time_to_first_token_s ?? detail.arrivals_s[0] ?? detail.duration_s;
}

// Until the first token comes there are no gaps between tokens: all of it is waiting.
function paintWait(context, viewport, detail, x, box) {
  const end = firstTokenOf(detail);
  const [from, to] = [x(0), x(end)];
  context.fillStyle = palette().wait;
  context.fillRect(from, box.top, to - from, box.base - box.top);
  context.fillStyle = palette().faint;
  context.fillRect(from, box.base - 1, to - from, 1);
  const hold = detail.hold_before_first_token_s ?? 0;
  if (x(hold) - x(0) >= 2) {
    context.fillStyle = hatching(context, "consumer");
    context.fillRect(from, box.base - 8, x(hold) - from, 8);
  }
  context.font = `11px ${palette().font}`;
  context.fillStyle = palette().dim;
  const left = Math.max(from, viewport.left) + 7;
  const text = [`waiting ${formatSeconds(end)}`, formatSeconds(end)].find(
    (one) => left + context.measureText(one).width + 6 < to,
  );
  if (text) context.fillText(text, left, box.top + (box.base - box.top) / 2 + 4);
}

function paintBaseline(context, detail, x, box) {
  context.fillStyle = palette().line;
  context.fillRect(x(0), box.base, x(detail.duration_s) - x(0), 1);
}

function paintEach(context, detail, x, box, { first, last, silent }) {
  const arrivals = detail.arrivals_s;
  for (let index = first; index < last; index += 1) {
    const at = x(arrivals[index]);
    if (index > silent) {
      const before = x(arrivals[index - 1]);
      const heat = heatOf(arrivals[index] - arrivals[index - 1]);
      const high = tall(heat, box);
      const space = at - before > 3 ? 1 : 0;
      context.fillStyle = heatColour(heat);
      context.fillRect(before + space, box.base - high, Math.max(0.75, at - before - space), high);
    }
    context.fillStyle = palette().dim;
    context.fillRect(at - 0.5, box.ticks, 1, TICKS_HEIGHT);
  }
}

// Denser than pixels: each column shows the longest gap in it, and how many tokens came as the tick's ink.
function paintColumns(context, viewport, detail, startS, box, { first, last, silent }) {
  const arrivals = detail.arrivals_s;
  const columns = Math.ceil(viewport.width);
  const longest = new Float32Array(columns);
  const count = new Uint16Array(columns);
  const scale = viewport.width / (viewport.to - viewport.from);
  const shift = startS - viewport.from;
  for (let index = first; index < last; index += 1) {
    const column = Math.floor((shift + arrivals[index]) * scale);
    if (column >= 0 && column < columns) count[column] += 1;
    if (index <= silent) continue;
    const gap = arrivals[index] - arrivals[index - 1];
    const from = Math.max(0, Math.floor((shift + arrivals[index - 1]) * scale));
    const to = Math.min(columns - 1, column);
    for (let at = from; at <= to; at += 1) if (longest[at] < gap) longest[at] = gap;
  }
  const most = count.reduce((a, b) => Math.max(a, b), 1);
  for (let from = 0; from < columns;) {
    let to = from + 1;
    while (to < columns && longest[to] === longest[from]) to += 1;
    if (longest[from] > 0) {
      const heat = heatOf(longest[from]);
      const high = tall(heat, box);
      context.fillStyle = heatColour(heat);
      context.fillRect(viewport.left + from, box.base - high, to - from, high);
    }
    from = to;
  }
  context.fillStyle = palette().dim;
  for (let at = 0; at < columns; at += 1) {
    if (!count[at]) continue;
    context.globalAlpha = 0.25 + 0.75 * (count[at] / most);
    context.fillRect(viewport.left + at, box.ticks, 1, TICKS_HEIGHT);
  }
  context.globalAlpha = 1;
}

// Blocks of the event loop, the short ones too, as a line below.
function paintBlocks(context, detail, x, box) {
  context.fillStyle = causeColour("event_loop");
  for (const block of detail.blocks ?? []) {
    const from = x(block.at_s);
    context.fillRect(from, box.base + 3, Math.max(1.5, x(block.at_s + block.duration_s) - from), 2);
  }
}

function paintStall(context, viewport, { stall, next }, x, box) {
  const from = x(stall.at_s);
  const wide = Math.max(2, x(stall.at_s + stall.duration_s) - from);
  if (from > viewport.left + viewport.width || from + wide < viewport.left) return;
  const high = box.base - box.top;
  context.fillStyle = palette().panel;
  context.fillRect(from, box.top, wide, high);
  context.fillStyle = causeColour(stall.cause);
  context.globalAlpha = 0.2;
  context.fillRect(from, box.top, wide, high);
  context.globalAlpha = 1;
  context.fillStyle = hatching(context, stall.cause);
  context.fillRect(from, box.top, wide, high);
  context.fillStyle = causeColour(stall.cause);
  context.fillRect(from, box.top, wide, 3);
  context.fillRect(from, box.base - 1, wide, 2);
  stallLabel(
    context,
    viewport,
    stall,
    { from, wide, until: next ? x(next.at_s) : viewport.left + viewport.width },
    box,
  );
}

function stallLabel(context, viewport, stall, { from, wide, until }, box) {
  const left = Math.max(from, viewport.left) + 5;
  const space = Math.min(from + wide, viewport.left + viewport.width) - left - 3;
  const { sign, label } = causeOf(stall.cause);
  const place = stall.file ? formatPlace(stall.file, stall.line) : label;
  const texts = [
    `${sign} ${formatSeconds(stall.duration_s)} ${place} ${stall.function ?? ""}`,
    `${sign} ${place}`,
    `${sign} ${formatSeconds(stall.duration_s)}`,
    sign,
  ];
  context.font = `600 11px ${palette().font}`;
  const width = (text) => context.measureText(text).width;
  const write = (text, at, middle) => {
    context.fillStyle = palette().panel;
    context.fillRect(at - 4, middle - 8, width(text) + 8, 16);
    context.fillStyle = causeColour(stall.cause);
    context.fillText(text, at, middle + 4);
  };
  const text = texts.find((one) => width(one.trim()) <= space)?.trim();
  if (text) write(text, left, box.top + (box.base - box.top) / 2 + 1);
  // Too narrow for the line at fault: it is written above, as far as the next stall leaves room.
  if (!stall.file || text?.includes(place) || from < viewport.left) return;
  const above = [`${place} ${stall.function ?? ""}`.trim(), place].find((one) => from + width(one) + 6 < until);
  if (above) write(above, from + 4, box.ticks + 4);
}

function paintFirst(context, viewport, detail, x, box) {
  const first = detail.time_to_first_token_s;
  if (first === null || first === undefined) return;
  const at = x(first);
  if (at < viewport.left - 1 || at > viewport.left + viewport.width) return;
  context.fillStyle = palette().accent;
  context.fillRect(at - 1, box.ticks - 3, 2, box.base - box.ticks + 4);
  context.beginPath();
  context.moveTo(at - 1, box.ticks - 3);
  context.lineTo(at + 8, box.ticks + 1);
  context.lineTo(at - 1, box.ticks + 5);
  context.fill();
}

function paintEnd(context, detail, x, box) {
  const failed = detail.error !== null && detail.error !== undefined;
  const at = x(failed ? detail.error.at_s : (detail.done_s ?? detail.duration_s));
  const middle = box.ticks + TICKS_HEIGHT / 2;
  context.lineWidth = 2;
  context.strokeStyle = context.fillStyle = failed
    ? palette().bad
    : detail.done_s === null
      ? palette().dim
      : palette().good;
  context.fillRect(at - 1, box.ticks, 2, box.base - box.ticks + 1);
  context.beginPath();
  if (failed) {
    context.moveTo(at - 5, middle - 5);
    context.lineTo(at + 5, middle + 5);
    context.moveTo(at + 5, middle - 5);
    context.lineTo(at - 5, middle + 5);
    context.stroke();
  } else {
    context.arc(at, middle, 4, 0, 2 * Math.PI);
    if (detail.done_s === null) {
      context.fillStyle = palette().panel;
      context.fill();
      context.stroke();
    } else {
      context.fill();
    }
  }
}

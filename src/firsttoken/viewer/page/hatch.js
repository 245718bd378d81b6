// Each cause of stalls has a hatching of its own, for those to whom the colours look alike.

import { causeColour } from "./theme.js";

const TILE_PX = 6;
const SHARPNESS = 2;
const LINES = new Map([
  [
    "event_loop",
    [
      [-1, 7, 7, -1],
      [-1, 1, 1, -1],
      [5, 7, 7, 5],
    ],
  ],
  ["consumer", [[0, 3, 6, 3]]],
  [
    "thread_pool",
    [
      [0, 3, 6, 3],
      [3, 0, 3, 6],
    ],
  ],
  ["stage", [[3, 0, 3, 6]]],
  ["provider", []], // dots
]);
const OTHER_LINES = [
  [-1, -1, 7, 7],
  [5, -1, 7, 1],
  [-1, 5, 1, 7],
];
const patterns = new Map();

/** Return the hatching of a cause, to fill with. */
export function hatching(context, cause) {
  const key = `${cause} ${causeColour(cause)}`;
  if (!patterns.has(key)) patterns.set(key, pattern(context, cause));
  return patterns.get(key);
}

function pattern(context, cause) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = TILE_PX * SHARPNESS;
  const pen = tile.getContext("2d");
  pen.scale(SHARPNESS, SHARPNESS);
  pen.strokeStyle = pen.fillStyle = causeColour(cause);
  pen.globalAlpha = 0.55;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const [fromX, fromY, toX, toY] of LINES.get(cause) ?? OTHER_LINES) {
    pen.moveTo(fromX, fromY);
    pen.lineTo(toX, toY);
  }
  pen.stroke();
  if (cause === "provider") pen.fillRect(2, 2, 1.8, 1.8);
  const made = context.createPattern(tile, "repeat");
  made.setTransform(new DOMMatrix([1 / SHARPNESS, 0, 0, 1 / SHARPNESS, 0, 0]));
  return made;
}

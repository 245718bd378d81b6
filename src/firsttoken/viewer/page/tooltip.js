// What the pointer is on, in a small box beside it.

import { blockAt, blockKind } from "./blocks.js";
import { h, put, signed } from "./dom.js";
import { formatCount, formatNumber, formatOffset, formatPlace, formatSeconds } from "./format.js";
import { causeOf } from "./words.js";

const OFFSET_PX = 14;
const LONGEST_TEXT = 400;

/** A box that follows the pointer. */
export class Tooltip {
  root = h("div", { class: "tooltip", role: "tooltip", hidden: true });

  /** Show content beside a point of the window. */
  show(content, clientX, clientY) {
    put(this.root, content);
    this.root.hidden = false;
    const { offsetWidth: wide, offsetHeight: high } = this.root;
    const left = clientX + OFFSET_PX + wide > innerWidth ? clientX - OFFSET_PX - wide : clientX + OFFSET_PX;
    const top = clientY + OFFSET_PX + high > innerHeight ? clientY - OFFSET_PX - high : clientY + OFFSET_PX;
    this.root.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  /** Take it away. */
  hide() {
    this.root.hidden = true;
  }
}

/** Return what is to be said about a place in a stream: `at` as `streamAt` tells it, `timeS` in the stream. */
export function streamTip(detail, at, timeS) {
  if (at.index === null) {
    if (at.phase === "waiting")
      return [h("b", {}, "Waiting for the first chunk"), line(`${formatSeconds(timeS)} so far`)];
    return [h("b", {}, detail.outcome ?? "over"), line(`after ${formatSeconds(detail.duration_s)}`)];
  }
  const arrival = detail.arrivals_s[at.index];
  const gap = at.index > 0 ? arrival - detail.arrivals_s[at.index - 1] : null;
  const text = detail.texts?.[at.index];
  const first = isFirstToken(detail, at.index);
  return [
    h(
      "b",
      {},
      `Chunk ${formatNumber(at.index + 1)} of ${formatNumber(detail.arrivals_s.length)}`,
      first ? ", the first token" : "",
    ),
    text ? h("q", { class: "text" }, text.slice(0, LONGEST_TEXT)) : null,
    line(`${formatOffset(arrival)} after the request`),
    gap === null ? null : line(`${formatSeconds(gap)} after the chunk before`),
    at.stall ? stallTip(at.stall) : blockTip(blockAt(detail.blocks, timeS)),
  ];
}

/** Return what is to be said about a span that is no stream. */
export function spanTip(span) {
  return [
    h("b", {}, span.name),
    line(`${formatSeconds(span.duration_s)}, ${span.kind}, ${span.service}`),
    span.status === "error" ? h("div", { class: "bad" }, span.status_message || "error") : null,
    span.events.length ? line(formatCount(span.events.length, "event")) : null,
  ];
}

/** Return whether an arrival is the one that brought the first token. */
export function isFirstToken(detail, index) {
  const first = detail.first_token_s ?? detail.time_to_first_token_s;
  return first !== null && first !== undefined && Math.abs(detail.arrivals_s[index] - first) < 5e-6;
}

/** Return where a stall's time went, the parts that matter. */
export function stallParts(stall) {
  const parts = [
    ["event loop blocked", stall.loop_blocked_s],
    ["held by the consumer", stall.hold_s],
    ["waited for the source", stall.wait_s],
  ];
  return parts
    .filter(([, time]) => time > stall.duration_s / 100)
    .map(([name, time]) => `${name} ${formatSeconds(time)}`);
}

function stallTip(stall) {
  const { sign, label } = causeOf(stall.cause);
  const place = stall.file ? `${formatPlace(stall.file, stall.line)} ${stall.function ?? ""}` : null;
  return h(
    "div",
    { class: "stall" },
    signed(sign, `Stall, ${formatSeconds(stall.duration_s)}: ${label}`, { class: `cause cause-${stall.cause}` }),
    place ? h("div", { class: "code" }, place) : null,
    h("div", { class: "dim" }, stallParts(stall).join(", ")),
  );
}

function blockTip(block) {
  if (!block) return null;
  const { sign } = causeOf("event_loop");
  return h(
    "div",
    { class: "stall" },
    signed(sign, `Event loop blocked, ${formatSeconds(block.duration_s)}`, { class: "cause cause-event_loop" }),
    block.file ? h("div", { class: "code" }, `${formatPlace(block.file, block.line)} ${block.function ?? ""}`) : null,
    block.kind ? h("div", { class: "dim" }, blockKind(block.kind)?.says ?? block.kind) : null,
  );
}

function line(text) {
  return h("div", { class: "dim" }, text);
}

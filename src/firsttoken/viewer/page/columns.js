// The columns of the list: what each is called, what it sorts by, what it shows of a stream.

import { h, signed } from "./dom.js";
import { formatClock, formatNumber, formatSeconds } from "./format.js";
import { traceRoute } from "./route.js";
import { drawSparkline } from "./sparkline.js";
import { causeOf, outcomeOf, shortBlock, shortCause } from "./words.js";

/** Columns in order. `sort` is the server's name for it; `fill(stream)` returns what is in the cell. */
export const COLUMNS = [
  { key: "outcome", label: "Outcome", fill: outcomeCell },
  { key: "started", label: "Started", sort: "start", fill: startedCell },
  { key: "model", label: "Model and route", fill: modelCell },
  { key: "shape", label: "Gaps over time", fill: shapeCell },
  { key: "ttft", label: "TTFT", sort: "ttft", title: "Time to first token", fill: ttftCell },
  {
    key: "tokens",
    label: "Tokens",
    sort: "tokens",
    title: "Output tokens, as the provider counted them",
    fill: tokensCell,
  },
  { key: "rate", label: "Tok/s", sort: "tokens_per_second", title: "Output tokens a second", fill: rateCell },
  { key: "p95", label: "p95 gap", sort: "gap_p95", title: "95 of 100 gaps between chunks are shorter", fill: p95Cell },
  { key: "max", label: "Max gap", sort: "gap_max", title: "The longest gap between chunks", fill: maxCell },
  { key: "stalls", label: "Stalls and their cause", sort: "stalls", fill: stallsCell },
];

/** Return what names a stream in the list, running or ended. */
export function streamKey(stream) {
  return `${stream.trace_id ?? stream.source ?? ""}/${stream.span_id ?? stream.name}`;
}

/** Return where a stream is shown. */
export function streamHref(stream) {
  return stream.trace_id ? traceRoute(stream.trace_id, stream.span_id) : null;
}

/** Return the cells of the head. `sort` is `{by, ascending}`; `change({sort, order})` is called on a click. */
export function headCells(sort, change) {
  const pick = h("span", { class: "cell pick", role: "columnheader" }, h("span", { class: "offscreen" }, "Compare"));
  return [pick, ...COLUMNS.map((column) => headCell(column, column.sort === sort.by, sort.ascending, change))];
}

function headCell(column, on, ascending, change) {
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, on ? (ascending ? "↑" : "↓") : "");
  const click = () => change({ sort: column.sort, order: on && !ascending ? "asc" : "desc" });
  const sorted = on ? (ascending ? "ascending" : "descending") : null;
  return h(
    "span",
    { class: `cell ${column.key}`, role: "columnheader", "aria-sort": sorted },
    column.sort
      ? h("button", { type: "button", title: column.title, on: { click } }, column.label, arrow)
      : h("span", { title: column.title }, column.label),
  );
}

/** Return a stream's row. `pick()` and `open()` are called when the user chooses it for comparison, or clicks it. */
export function streamRow(stream, { selected, picked, pick, open }) {
  const box = h("input", {
    type: "checkbox",
    tabindex: "-1",
    checked: picked,
    "aria-label": "Compare this stream",
    disabled: Boolean(stream.live),
    on: { change: pick },
  });
  const stay = (event) => event.stopPropagation();
  const cells = COLUMNS.map(({ key, label, fill }) =>
    h("span", { class: `cell ${key}`, role: "gridcell", "data-label": label }, fill(stream)),
  );
  return h(
    "div",
    {
      class: `row${stream.live ? " running" : ""}`,
      role: "row",
      id: `row-${streamKey(stream)}`,
      "aria-selected": String(selected),
      on: { click: (event) => event.target.closest("a") || open() },
    },
    h("label", { class: "cell pick", role: "gridcell", on: { click: stay } }, box),
    cells,
  );
}

function outcomeCell(stream) {
  const outcome = stream.live ? "running" : stream.outcome;
  const { sign, says } = outcomeOf(outcome);
  const title = [says, stream.error_type].filter(Boolean).join(": ");
  return signed(sign, outcome, { class: `outcome outcome-${outcome}`, title });
}

function startedCell(stream) {
  if (stream.live) return h("span", { class: "dim" }, `${formatSeconds(stream.age_s)} ago`);
  return h("time", { datetime: new Date(stream.start_ms).toISOString() }, formatClock(stream.start_ms));
}

function modelCell(stream) {
  const name = stream.model ?? stream.name;
  const link = h("a", { href: streamHref(stream), tabindex: "-1" }, name);
  const place = stream.live ? stream.source : (stream.route ?? stream.service);
  const where = [ownName(stream), place].filter(Boolean).join(" · ");
  return [link, h("span", { class: "route", title: where }, where)];
}

// What a stream is called besides its model: it tells a pipeline from the provider it reads, of one trace.
function ownName({ name, model, operation }) {
  return model && name !== model && name !== `${operation} ${model}` ? name : null;
}

function shapeCell(stream) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  drawSparkline(canvas, stream);
  return canvas;
}

function ttftCell(stream) {
  if (!stream.live) return formatSeconds(stream.time_to_first_token_s);
  return stream.content_chunks ? "" : h("span", { class: "dim" }, "waiting");
}

function tokensCell(stream) {
  if (stream.live) return h("span", { class: "dim", title: "chunks so far" }, `${formatNumber(stream.chunks)} ch`);
  return formatNumber(stream.output_tokens);
}

function rateCell(stream) {
  return stream.live ? "" : formatNumber(stream.tokens_per_second);
}

function p95Cell(stream) {
  return stream.live ? "" : formatSeconds(stream.gap_p95_s);
}

function maxCell(stream) {
  if (stream.live)
    return h("span", { class: "dim", title: "since the last chunk" }, formatSeconds(stream.last_chunk_age_s));
  const long = stream.stall_threshold_s && stream.gap_max_s >= stream.stall_threshold_s;
  return h("span", { class: long ? "long" : null }, formatSeconds(stream.gap_max_s));
}

function stallsCell(stream) {
  if (stream.live) return "";
  const cause = shortCause(stream);
  if (cause) {
    const { sign } = causeOf(cause.cause);
    const [kind, title] = [`cause cause-${cause.cause}${cause.known ? " code" : ""}`, cause.title];
    return [
      h("span", { class: "count" }, formatNumber(cause.count)),
      signed(sign, cause.text, { class: kind, title }),
      cause.others.map((other) => otherCause(other, title)),
    ];
  }
  if (stream.error_type) return h("span", { class: "why bad", title: stream.error_type }, stream.error_type);
  const block = shortBlock(stream);
  if (!block) return "";
  const says = `No stall, but many short blocks of the event loop; ${block.share} of the stream at ${block.culprit}`;
  return [
    h("span", { class: "count dim" }, "0"),
    signed(causeOf("event_loop").sign, block.text, { class: "cause cause-event_loop code", title: says }),
    h("span", { class: "dim share" }, block.share),
  ];
}

function otherCause(name, title) {
  const { sign, label } = causeOf(name);
  return signed(sign, h("span", { class: "offscreen" }, label), { class: `cause other cause-${name}`, title });
}

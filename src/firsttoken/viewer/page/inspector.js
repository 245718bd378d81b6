// One span in words and tables: attributes, events, links; and for a stream its stalls and every chunk, so
// that what is drawn can also be read.

import { blockKind, blockedPlaces } from "./blocks.js";
import { h, put, signed } from "./dom.js";
import { formatCount, formatNumber, formatOffset, formatPlace, formatSeconds, formatValue } from "./format.js";
import { traceRoute } from "./route.js";
import { isFirstToken, stallParts } from "./tooltip.js";
import { causeOf } from "./words.js";

const CHUNKS_PER_PAGE = 200;
const LONG_TEXT = 400;

/** Return everything about a span. `showStall(stall)` zooms to one. */
export function inspector(span, showStall) {
  return h(
    "section",
    { class: "inspector", "aria-label": `Span ${span.name}` },
    h(
      "header",
      {},
      h("h2", {}, span.name),
      h(
        "span",
        { class: "dim" },
        [`${formatSeconds(span.duration_s)} from ${formatSeconds(span.start_s)}`, span.kind, span.service, span.scope]
          .filter(Boolean)
          .join(" · "),
      ),
      span.status === "error" ? h("span", { class: "bad" }, `error ${span.status_message ?? ""}`) : null,
    ),
    span.stream ? [stallTable(span.stream, showStall), blockTable(span.stream.blocks)] : null,
    h(
      "div",
      { class: "columns" },
      block("Attributes", Object.keys(span.attributes).length, attributeTable(span.attributes)),
      h(
        "div",
        {},
        block("Events", span.events.length, eventTable(span.events, span.start_s)),
        block("Links", span.links.length, linkList(span.links)),
      ),
    ),
    span.stream ? chunkTable(span.stream) : null,
  );
}

function block(title, count, content) {
  return count ? h("div", { class: "block" }, h("h3", {}, title), content) : null;
}

function attributeTable(attributes) {
  const names = Object.keys(attributes).sort();
  return h(
    "table",
    { class: "attributes" },
    h(
      "tbody",
      {},
      names.map((name) =>
        h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, longText(formatValue(attributes[name])))),
      ),
    ),
  );
}

function longText(text) {
  if (text.length <= LONG_TEXT) return text;
  return h(
    "details",
    {},
    h("summary", {}, `${text.slice(0, LONG_TEXT / 2)}… (${formatCount(text.length, "character")})`),
    h("pre", {}, text),
  );
}

function eventTable(events, startS) {
  return h(
    "table",
    { class: "events" },
    h("thead", {}, h("tr", {}, h("th", {}, "at"), h("th", {}, "event"), h("th", {}, "attributes"))),
    h(
      "tbody",
      {},
      events.map((event) =>
        h(
          "tr",
          {},
          h("td", { class: "number" }, formatOffset(event.at_s - startS)),
          h("td", {}, event.name),
          h(
            "td",
            { class: "dim" },
            Object.entries(event.attributes).map(([name, value]) =>
              h("div", {}, longText(`${name} = ${formatValue(value)}`)),
            ),
          ),
        ),
      ),
    ),
  );
}

function linkList(links) {
  return h(
    "ul",
    {},
    links.map((link) =>
      h("li", {}, h("a", { href: traceRoute(link.trace_id, link.span_id) }, `${link.trace_id} ${link.span_id}`)),
    ),
  );
}

function stallTable(stream, showStall) {
  const stalls = stream.stalls ?? [];
  if (!stalls.length) return null;
  const threshold = stream.stall_threshold_s ? `: gaps of ${formatSeconds(stream.stall_threshold_s)} and more` : "";
  return h(
    "div",
    { class: "block" },
    h("h3", {}, formatCount(stalls.length, "stall"), h("span", { class: "dim" }, threshold)),
    h(
      "table",
      { class: "stalls" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["at", "lasted", "cause", "where", "the time went"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        stalls.map((stall) => stallRow(stall, showStall)),
      ),
    ),
  );
}

function stallRow(stall, showStall) {
  const { sign, label } = causeOf(stall.cause);
  const place = stall.file
    ? [
        h("span", { class: "code", title: stall.file }, formatPlace(stall.file, stall.line)),
        stall.function ? [" in ", h("span", { class: "code" }, stall.function)] : null,
      ]
    : h("span", { class: "dim" }, stall.origin ?? "");
  return h(
    "tr",
    {},
    h(
      "td",
      { class: "number" },
      h(
        "button",
        { type: "button", class: "quiet", title: "Zoom to this stall", on: { click: () => showStall(stall) } },
        formatOffset(stall.at_s),
      ),
    ),
    h("td", { class: "number" }, formatSeconds(stall.duration_s)),
    h("td", {}, signed(sign, label, { class: `cause cause-${stall.cause}` })),
    h("td", {}, place),
    h("td", { class: "dim" }, stallParts(stall).join(", ")),
  );
}

function blockTable(blocks) {
  if (!blocks?.length) return null;
  const places = blockedPlaces(blocks);
  return h(
    "div",
    { class: "block" },
    h("h3", {}, formatCount(blocks.length, "block"), " of the event loop"),
    h(
      "table",
      { class: "blocks" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["times", "in all", "where", "what it did"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        places.map((place) =>
          h(
            "tr",
            {},
            h("td", { class: "number" }, formatNumber(place.blocks.length)),
            h("td", { class: "number" }, formatSeconds(place.total_s)),
            h("td", {}, blockPlace(place)),
            h(
              "td",
              { class: "dim" },
              blockKind(place.kind)?.says ?? place.kind ?? "",
              place.thread ? ` (thread ${place.thread})` : "",
            ),
          ),
        ),
      ),
    ),
  );
}

function blockPlace(place) {
  if (!place.file) return h("span", { class: "dim" }, "none of the app's code");
  const stack = place.blocks.find((block) => block.stack.length)?.stack;
  const where = [
    h("span", { class: "code", title: place.file }, formatPlace(place.file, place.line)),
    place.function ? [" in ", h("span", { class: "code" }, place.function)] : null,
  ];
  return stack ? h("details", {}, h("summary", {}, where), h("pre", {}, stack.join("\n"))) : where;
}

function chunkTable(stream) {
  const total = stream.arrivals_s.length;
  if (!total) return null;
  const body = h("tbody");
  const place = h("span", { class: "dim" });
  let from = 0;
  const step = (by) =>
    h(
      "button",
      { type: "button", on: { click: () => turn(from + by * CHUNKS_PER_PAGE) } },
      by < 0 ? "Earlier" : "Later",
    );
  const [earlier, later] = [step(-1), step(1)];
  const turn = (wanted) => {
    from = Math.max(0, Math.min(wanted, Math.floor((total - 1) / CHUNKS_PER_PAGE) * CHUNKS_PER_PAGE));
    const to = Math.min(total, from + CHUNKS_PER_PAGE);
    put(
      body,
      Array.from({ length: to - from }, (_, index) => chunkRow(stream, from + index)),
    );
    place.textContent = `${formatNumber(from + 1)} to ${formatNumber(to)} of ${formatNumber(total)}`;
    earlier.disabled = from === 0;
    later.disabled = to === total;
  };
  const details = h(
    "details",
    { class: "block", on: { toggle: () => details.open && !body.childElementCount && turn(0) } },
    h("summary", {}, `Every chunk as a table (${formatNumber(total)})`),
    h("div", { class: "pager" }, earlier, later, place),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["chunk", "at", "gap", stream.texts ? "text" : null, "note"]
            .filter(Boolean)
            .map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      body,
    ),
  );
  return details;
}

function chunkRow(stream, index) {
  const at = stream.arrivals_s[index];
  const gap = index ? at - stream.arrivals_s[index - 1] : null;
  const stall = index ? (stream.stalls ?? []).find((one) => Math.abs(one.at_s + one.duration_s - at) < 0.002) : null;
  const note = stall ? `stall: ${causeOf(stall.cause).label}` : isFirstToken(stream, index) ? "first token" : "";
  return h(
    "tr",
    {},
    h("td", { class: "number" }, formatNumber(index + 1)),
    h("td", { class: "number" }, formatOffset(at)),
    h("td", { class: "number" }, formatSeconds(gap)),
    stream.texts ? h("td", { class: "text" }, stream.texts[index] ?? "") : null,
    h("td", {}, note),
  );
}

// What is to be said about a stream, where one looks first; and its figures below.

import { h, signed } from "./dom.js";
import { formatList, formatNumber, formatSeconds } from "./format.js";
import { causeOf, outcomeOf, remedy, verdict } from "./words.js";

/** Return the sentences about a stream, the first one large; `aside` ends the line below it. */
export function verdictBox(stream, aside = null) {
  const [first, ...rest] = verdict(stream);
  const kind = first.cause ? `cause-${first.cause}` : first.outcome ? `outcome-${first.outcome}` : "calm";
  return h(
    "section",
    { class: `verdict ${kind}`, "aria-label": "Verdict" },
    h("p", { class: "first" }, sign(first), parts(first)),
    first.cause === "event_loop" ? h("p", { class: "remedy" }, remedy(stream), " ", aside) : null,
    rest.map((sentence) => h("p", {}, sign(sentence), parts(sentence))),
  );
}

/** Return a stream's figures. */
export function factList(stream) {
  const facts = [
    [
      "First token",
      formatSeconds(stream.time_to_first_token_s),
      "Time to first token: from the request to the first content",
      true,
    ],
    ["First chunk", formatSeconds(stream.time_to_first_chunk_s), "Even an empty one"],
    ["Duration", formatSeconds(stream.duration_s), "", true],
    ["Output tokens", formatNumber(stream.output_tokens), "As the provider counted them"],
    ["Input tokens", formatNumber(stream.input_tokens), "As the provider counted them"],
    ["Tokens/s", formatNumber(stream.tokens_per_second), "From the first to the last token", true],
    ["Time per token", formatSeconds(stream.time_per_output_token_s), "TPOT: one number for the whole stream"],
    ["Chunks", formatNumber(stream.chunk_count), ""],
    ["Gap p50", formatSeconds(stream.gap_p50_s), "Half of the gaps between chunks are shorter"],
    ["p95", formatSeconds(stream.gap_p95_s), "95 of 100 gaps are shorter", true],
    ["p99", formatSeconds(stream.gap_p99_s), "99 of 100 gaps are shorter"],
    ["max", formatSeconds(stream.gap_max_s), "The longest gap", true],
    ["Finish", formatList(stream.finish_reasons ?? []) || "–", "What the provider said why it ended"],
  ];
  return h(
    "dl",
    { class: "facts" },
    facts.map(([name, value, title, strong]) =>
      h("div", { title, class: strong ? "strong" : null }, h("dt", {}, name), h("dd", {}, value)),
    ),
  );
}

/** Return where a stream's time went, as one bar: waiting, held, blocked. Null if it does not say. */
export function budgetBar(stream) {
  const parts = [
    ["wait", "waited for the source", stream.wait_s],
    ["consumer", "held by the consumer", stream.hold_s],
    ["event_loop", "event loop blocked", stream.loop_blocked_s],
  ].filter(([, , time]) => time > 0);
  const sum = parts.reduce((total, [, , time]) => total + time, 0);
  if (!sum) return null;
  return h(
    "div",
    { class: "budget" },
    h(
      "div",
      { class: "budget-bar", "aria-hidden": "true" },
      parts.map(([kind, , time]) => {
        const part = h("span", { class: kind === "wait" ? "wait" : `cause-${kind}` });
        part.style.flexGrow = time / sum;
        return part;
      }),
    ),
    h(
      "div",
      { class: "budget-legend" },
      parts.map(([kind, text, time]) =>
        signed(kind === "wait" ? "▬" : causeOf(kind).sign, `${text} ${formatSeconds(time)} (${share(time / sum)})`, {
          class: kind === "wait" ? "wait" : `cause cause-${kind}`,
        }),
      ),
    ),
  );
}

function share(part) {
  return part > 0 && part < 0.005 ? "< 1 %" : `${Math.round(part * 100)} %`;
}

function sign(sentence) {
  const text = sentence.cause
    ? causeOf(sentence.cause).sign
    : sentence.outcome
      ? outcomeOf(sentence.outcome).sign
      : "✓";
  return h(
    "span",
    {
      class: `sign cause ${sentence.cause ? `cause-${sentence.cause}` : `outcome outcome-${sentence.outcome}`}`,
      "aria-hidden": "true",
    },
    text,
  );
}

function parts(sentence) {
  return h(
    "span",
    {},
    sentence.parts.map((part) => (typeof part === "string" ? part : h("code", { title: part.title }, part.code))),
  );
}

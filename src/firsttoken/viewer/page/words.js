// What happened to a stream, in plain words: causes, outcomes, the verdict. Pure.

import { blockKind, blockedPlaces } from "./blocks.js";
import { formatCount, formatList, formatPlace, formatSeconds, formatTimes } from "./format.js";

const WORTH_SAYING = 0.03;

/** Stall causes, worst to mend first: what they are called, and a sign so that colour is never alone. */
export const CAUSES = {
  event_loop: { label: "event loop", sign: "■", says: "your own code blocked the event loop" },
  consumer: { label: "consumer", sign: "●", says: "whoever read the stream held it up" },
  thread_pool: { label: "thread pool", sign: "✚", says: "no worker thread was free" },
  stage: { label: "stage", sign: "◆", says: "a stage of the pipeline took its time" },
  provider: { label: "provider", sign: "▲", says: "nothing came from the model" },
};

/** How a stream can end. */
export const OUTCOMES = {
  completed: { sign: "✓", says: "came to its end" },
  truncated: { sign: "…", says: "just stopped, although its format says when it is done" },
  abandoned: { sign: "↩", says: "the consumer stopped reading" },
  cancelled: { sign: "⊘", says: "the client has gone" },
  failed: { sign: "✕", says: "the source raised, or an error was told inside the stream" },
  interrupted: { sign: "‖", says: "the process shut down while it ran" },
  running: { sign: "◌", says: "has not ended yet" },
};

/** Return the cause's words; one that is not known keeps its name. */
export function causeOf(name) {
  return Object.hasOwn(CAUSES, name) ? CAUSES[name] : { label: String(name), sign: "◇", says: "" };
}

/** Return the outcome's words; one that is not known keeps its name. */
export function outcomeOf(name) {
  return Object.hasOwn(OUTCOMES, name) ? OUTCOMES[name] : { sign: "?", says: "" };
}

/** Return the stalls of a stream grouped by who is to blame, the one to name first in front. */
export function culprits(stalls) {
  const groups = new Map();
  for (const stall of stalls ?? []) {
    const known = stall.cause === "event_loop" && stall.file;
    const key = known
      ? JSON.stringify([stall.file, stall.line, stall.function])
      : JSON.stringify([stall.cause, stall.cause === "event_loop" ? null : stall.origin]);
    if (!groups.has(key)) groups.set(key, { ...stall, known: Boolean(known), stalls: [], total_s: 0 });
    const group = groups.get(key);
    group.stalls.push(stall);
    group.total_s += blamedTime(stall);
  }
  return [...groups.values()].sort((a, b) => b.known - a.known || b.total_s - a.total_s);
}

/**
 * Return a few words on what stalled a stream, for a row: `chat.py:107 save_log`; with the other causes by
 * name, and all of them in the title. Null if there was no stall.
 */
export function shortCause(stream) {
  const groups = culprits(stream.stalls);
  const [first] = groups;
  if (!first) return null;
  return {
    cause: first.cause,
    text: shortPlace(first),
    known: first.known,
    count: stream.stall_count ?? stream.stalls.length,
    others: [...new Set(groups.map((group) => group.cause))].filter((cause) => cause !== first.cause),
    title: groups.map(shortGroup).join("; "),
  };
}

/** Return the line that blocked the event loop for a good part of a stream, for a row; null if none did. */
export function shortBlock(stream) {
  const { loop_block_culprit: culprit, loop_block_share: share } = stream;
  if (!culprit || !(share >= WORTH_SAYING)) return null;
  const [, file, line, name] = /^(.*):(\d+) (.*)$/s.exec(culprit) ?? [];
  const text = file ? `${formatPlace(file, line)} ${name}` : culprit;
  return { culprit, text, share: `${Math.round(share * 100)} %` };
}

function shortGroup(group) {
  const { label } = causeOf(group.cause);
  const place = group.known ? `, ${shortPlace(group)}` : "";
  return `${label}${place}: ${formatTimes(group.stalls.length)}, ${formatSeconds(group.total_s)}`;
}

function shortPlace(group) {
  if (!group.known) return causeOf(group.cause).label;
  return [formatPlace(group.file, group.line), group.function].filter(Boolean).join(" ");
}

/**
 * Return what is to be said about a stream, most important first. Each sentence is
 * `{cause, outcome, parts}`; a part is a string, or `{code, title}` for a place in the code.
 */
export function verdict(stream) {
  const groups = culprits(stream.stalls);
  const said = groups.map((group) => ({ cause: group.cause, parts: blameSentence(group, stream) }));
  const small = blockedSentence(stream, groups);
  if (small) said.splice(said.length && groups[0].known ? 1 : 0, 0, { cause: "event_loop", parts: small });
  const end = endSentence(stream);
  if (end) said.push({ outcome: stream.outcome, parts: end });
  const late = lateSentence(stream);
  if (late) said.push({ cause: "consumer", parts: late });
  if (!said.length) said.push({ parts: calmSentence(stream) });
  return said;
}

/** Return what the line at fault did and what mends it, or null if that is not known. */
export function remedy(stream) {
  const [group] = culprits(stream.stalls);
  const places = blockedPlaces(stream.blocks);
  const place = group?.known ? places.find((one) => sameLine(one, group)) : group ? null : places[0];
  const kind = blockKind(place?.kind);
  return kind && place.total_s >= stream.duration_s * WORTH_SAYING ? `${kind.says}: ${kind.mend}.` : null;
}

function blamedTime(stall) {
  const blamed = new Map([
    ["event_loop", stall.loop_blocked_s],
    ["consumer", stall.hold_s],
    ["provider", stall.wait_s],
  ]);
  return blamed.get(stall.cause) || stall.duration_s;
}

function blameSentence(group, stream) {
  const count = group.stalls.length;
  const times = group.stalls.map(blamedTime);
  const cost = `; it cost this stream ${formatCount(count, "stall")}.`;
  if (group.known) return [...culprit(group), " blocked the event loop ", howLong(times), cost];
  switch (group.cause) {
    case "event_loop":
      return ["The event loop stood still ", howLong(times), " with none of the app's code to blame", cost];
    case "consumer":
      return ["The reader looked away and held the stream up ", howLong(times), ": the model was not slow."];
    case "thread_pool":
      return [...origin(group, "The pipeline"), " waited ", howLong(times), " for a worker thread: all were taken."];
    case "stage":
      return [...origin(group, "A stage"), " kept the stream waiting ", howLong(times), cost];
    case "provider":
      return [
        stream.provider ? `The provider, ${stream.provider},` : "The provider",
        " fell silent ",
        howLong(times),
        cost,
      ];
    default:
      return [`A stall (${group.cause}) held the stream up `, howLong(times), "."];
  }
}

// Many blocks that are no stall each, by a line that no stall was blamed on.
function blockedSentence(stream, groups) {
  const place = blockedPlaces(stream.blocks).find(
    (one) => one.file && !groups.some((group) => group.known && sameLine(group, one)),
  );
  const share = place ? place.total_s / stream.duration_s : 0;
  if (!place || share < WORTH_SAYING) return null;
  return [
    ...culprit(place),
    " blocked the event loop ",
    howLong(place.blocks.map((block) => block.cost_s)),
    `: ${Math.round(share * 100)} % of this stream.`,
  ];
}

function sameLine(a, b) {
  return a.file === b.file && a.line === b.line && a.function === b.function;
}

function culprit(group) {
  const place = { code: formatPlace(group.file, group.line), title: group.file };
  return group.function ? [place, " in ", { code: group.function, title: group.function }] : [place];
}

function origin(group, otherwise) {
  return group.origin ? [{ code: group.origin, title: group.origin }] : [otherwise];
}

function howLong(times) {
  const longest = Math.max(...times);
  const sum = formatSeconds(times.reduce((total, time) => total + time, 0));
  if (times.length === 1) return `for ${sum}`;
  if (times.every((time) => formatSeconds(time) === formatSeconds(longest)))
    return `${formatTimes(times.length)}, for ${formatSeconds(longest)} each`;
  if (times.length <= 3) return `${formatTimes(times.length)}, for ${formatList(times.map(formatSeconds))}`;
  return `${formatTimes(times.length)}, ${sum} in all and ${formatSeconds(longest)} at the longest`;
}

function endSentence(stream) {
  const after = `after ${formatSeconds(stream.duration_s)} and ${formatCount(stream.chunk_count ?? 0, "chunk")}`;
  switch (stream.outcome) {
    case "failed":
      return stream.error_type
        ? [`It failed ${after}: `, { code: stream.error_type, title: stream.error_type }, "."]
        : [`It failed ${after}.`];
    case "truncated":
      return [`It just stopped ${after}, without the end mark that its format has.`];
    case "abandoned":
      return [`The consumer stopped reading ${after}.`];
    case "cancelled":
      return [`The client left ${after}.`];
    case "interrupted":
      return [`The process shut down while it ran, ${after}.`];
    default:
      return null;
  }
}

function lateSentence(stream) {
  const hold = stream.hold_before_first_token_s ?? 0;
  const first = stream.time_to_first_token_s;
  if (!first || hold < 0.1 || hold < first / 5) return null;
  return [`Of the ${formatSeconds(first)} to the first token, ${formatSeconds(hold)} were a consumer that came late.`];
}

function calmSentence(stream) {
  const first = stream.time_to_first_token_s;
  if (first === null || first === undefined) return ["Nothing held this stream up."];
  const pace = stream.gap_p50_s ? `, then a chunk every ${formatSeconds(stream.gap_p50_s)}` : "";
  const tail = stream.gap_p95_s ? ` (95 of 100 within ${formatSeconds(stream.gap_p95_s)})` : "";
  return [`Nothing held this stream up: the first token came after ${formatSeconds(first)}${pace}${tail}.`];
}

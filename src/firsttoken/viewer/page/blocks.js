// Blocks of the event loop that a stream lived through, from its span's events; those too short to be a
// stall among them. Pure.

const EVENT = "firsttoken.loop_block";

const KINDS = new Map([
  ["cpu", { says: "It was computing there", mend: "give that to a thread or a process" }],
  ["io", { says: "It waited in a blocking call there", mend: "await an asynchronous one, or give it to a thread" }],
  [
    "gil_or_cpu_wait",
    {
      says: "It could not run: another thread held the interpreter, or the processors were busy",
      mend: "look at what else runs",
    },
  ],
  ["gc", { says: "It was collecting garbage", mend: "make less of it, or freeze what stays" }],
]);

/** Return what the loop's thread did in a block of that kind, and what mends it; null if it is not known. */
export function blockKind(name) {
  return KINDS.get(name) ?? null;
}

/**
 * Return spans whose streams have `blocks`, each
 * `{at_s, duration_s, cost_s, kind, thread, file, line, function, stack}`.
 */
export function withBlocks(spans) {
  return spans.map((span) => (span.stream ? { ...span, stream: { ...span.stream, blocks: blocksOf(span) } } : span));
}

/** Return blocks grouped by the line at fault, the costliest first: a block each, with `blocks` and `total_s`. */
export function blockedPlaces(blocks) {
  const places = new Map();
  for (const block of blocks ?? []) {
    const key = JSON.stringify([block.file, block.line, block.function]);
    if (!places.has(key)) places.set(key, { ...block, blocks: [], total_s: 0 });
    const place = places.get(key);
    place.blocks.push(block);
    place.total_s += block.cost_s;
  }
  return [...places.values()].sort((a, b) => b.total_s - a.total_s);
}

/** Return the block at a moment of the stream, or null. */
export function blockAt(blocks, timeS) {
  return (blocks ?? []).find((block) => timeS >= block.at_s && timeS <= block.at_s + block.duration_s) ?? null;
}

function blocksOf(span) {
  return span.events
    .filter((event) => event.name === EVENT)
    .map(({ at_s, attributes }) => ({
      at_s: at_s - span.start_s,
      duration_s: attributes["firsttoken.loop_block.duration"] ?? 0,
      cost_s: attributes["firsttoken.loop_blocked"] ?? attributes["firsttoken.loop_block.duration"] ?? 0,
      kind: attributes["firsttoken.loop_block.kind"] ?? null,
      thread: attributes["firsttoken.loop_block.thread"] ?? null,
      file: attributes["code.file.path"] ?? null,
      line: attributes["code.line.number"] ?? null,
      function: attributes["code.function.name"] ?? null,
      stack: String(attributes["code.stacktrace"] ?? "")
        .split("\n")
        .filter(Boolean),
    }));
}

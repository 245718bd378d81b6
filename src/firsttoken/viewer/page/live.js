// The streams that run right now, as the server last saw them, with a short memory of their gaps.

import { ask } from "./api.js";
import { streamKey } from "./columns.js";

const REMEMBERED = 60;

/** Running streams as rows of the list. */
export class LiveStreams {
  rows = [];
  problems = [];
  #memory = new Map();

  /** Ask the server; return whether anything runs. */
  async refresh() {
    const told = await ask("/api/live").catch((error) => ({ streams: [], sources: [{ ok: false, error: error.message }] }));
    const before = this.#memory;
    this.#memory = new Map();
    this.rows = told.streams.map((stream) => {
      const key = streamKey(stream);
      const gaps = [...(before.get(key) ?? []), stream.chunks ? stream.last_chunk_age_s : null].slice(-REMEMBERED);
      this.#memory.set(key, gaps);
      return { ...stream, live: true, sparkline: padded(gaps), stalls: [], duration_s: stream.age_s };
    });
    this.rows.sort((a, b) => a.age_s - b.age_s);
    this.problems = told.sources.filter((source) => !source.ok);
    return this.rows.length > 0;
  }

  /** Return the rows that a text search finds; any other filter is about streams that have ended. */
  matching(query) {
    const others = Object.entries(query).some(
      ([name, value]) => !["q", "sort", "order"].includes(name) && value?.length,
    );
    if (others) return [];
    const text = (query.q?.[0] ?? "").toLowerCase();
    return this.rows.filter((row) => `${row.name} ${row.source} ${row.trace_id}`.toLowerCase().includes(text));
  }
}

function padded(gaps) {
  return [...gaps, ...new Array(REMEMBERED - gaps.length).fill(null)];
}

// The streams that have ended, as far down as the reader went; the server's pages joined without doubles.

import { ask } from "./api.js";
import { streamKey } from "./columns.js";
import { FILTER_NAMES } from "./filters.js";

const PAGE_SIZE = 200;
const LARGEST_PAGE = 1000;

/** What `/api/streams` answers to one query, and goes on answering. */
export class StreamFeed {
  streams = [];
  total = 0;
  #query = {};
  #asked = 0;
  #loading = false;

  /** Ask for other streams from now on; return whether they are others. */
  use(query) {
    const other = JSON.stringify(query) !== JSON.stringify(this.#query);
    this.#query = query;
    if (other) {
      this.streams = [];
      this.total = 0;
    }
    return other;
  }

  /** Ask anew for what is there; return what there is to filter by, or null if the question has changed meanwhile. */
  async refresh() {
    const asked = (this.#asked += 1);
    const limit = Math.min(LARGEST_PAGE, Math.max(PAGE_SIZE, this.streams.length));
    const page = await ask("/api/streams", { ...this.#asking(), limit });
    if (asked !== this.#asked) return null;
    const known = new Set(page.streams.map(streamKey));
    const further = this.streams.slice(limit).filter((stream) => !known.has(streamKey(stream)));
    this.streams = [...page.streams, ...further];
    this.total = page.total;
    return page.facets;
  }

  /** Ask for the next page; return whether there may be more to show. */
  async more() {
    if (this.#loading || this.streams.length >= this.total) return false;
    this.#loading = true;
    const asked = this.#asked;
    try {
      const page = await ask("/api/streams", { ...this.#asking(), limit: PAGE_SIZE, offset: this.streams.length });
      if (asked !== this.#asked) return true;
      const known = new Set(this.streams.map(streamKey));
      const unknown = page.streams.filter((stream) => !known.has(streamKey(stream)));
      this.streams = [...this.streams, ...unknown];
      return unknown.length > 0;
    } finally {
      this.#loading = false;
    }
  }

  #asking() {
    const names = [...FILTER_NAMES, "sort", "order"];
    return Object.fromEntries(names.filter((name) => this.#query[name]).map((name) => [name, this.#query[name]]));
  }
}

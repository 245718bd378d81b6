// The server: what it is asked, and the news it sends. One place that knows the addresses.

const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 8000;

/** The server did not answer, or answered that it cannot. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return what the server answers at `path`, as JSON. Throws `ApiError`. */
export async function ask(path, query = {}, signal = undefined) {
  const params = queryString(query);
  let answer;
  try {
    answer = await fetch(params ? `${path}?${params}` : path, { signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The viewer's server does not answer.", 0);
  }
  if (answer.status === 401 || answer.status === 403) {
    throw new ApiError("This viewer wants its token: open the address with ?token=… that it printed.", answer.status);
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new ApiError(told.error ?? `The viewer's server answered ${answer.status}.`, answer.status);
  }
  return answer.json();
}

/** Return a query string; arrays become repeated names, what is empty is left out. */
export function queryString(query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") params.append(name, one);
    }
  }
  return params.toString();
}

/** Return the address of one trace. */
export function tracePath(traceId) {
  return `/api/traces/${encodeURIComponent(traceId)}`;
}

/** Return the trace that this page was saved with, or null if there is a server behind it. */
export function savedTrace() {
  const element = document.getElementById("trace");
  return element?.type === "application/json" ? JSON.parse(element.textContent) : null;
}

/** Listens for changes and finds the server again after it was gone. */
export class Changes {
  #source = null;
  #retry = 0;
  #retryMs = RETRY_FIRST_MS;

  /** `changed({version, live})` on news, `connected(bool)` when that changes. */
  constructor(changed, connected) {
    this.changed = changed;
    this.connected = connected;
  }

  /** Connect, and stay connected. */
  open() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = new EventSource("/api/changes");
    this.#source.onopen = () => {
      this.#retryMs = RETRY_FIRST_MS;
      this.connected(true);
    };
    this.#source.onmessage = (event) => this.changed(JSON.parse(event.data));
    this.#source.onerror = () => this.#lost();
  }

  /** Stop listening. */
  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
  }

  #lost() {
    this.connected(false);
    // EventSource gives up on some answers; asking anew ourselves covers all of them.
    this.#source.close();
    this.#retry = setTimeout(() => this.open(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LONGEST_MS);
  }
}

/** Runs `work` when poked, one at a time and never more often than a third of its own cost allows. */
export class Refresher {
  #wanted = false;
  #hurried = false;
  #running = false;
  #timer = 0;

  constructor(work, leastMs = 200) {
    this.work = work;
    this.leastMs = leastMs;
  }

  /** Ask for a run soon. */
  poke() {
    this.#wanted = true;
    if (!this.#running && !this.#timer) this.#run();
  }

  /** Ask for a run now: the user waits for it. */
  hurry() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#hurried = this.#running;
    if (!this.#running) this.#run();
  }

  /** Forget what was asked for. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#wanted = false;
  }

  async #run() {
    this.#wanted = false;
    this.#running = true;
    const began = performance.now();
    try {
      await this.work();
    } finally {
      this.#running = false;
      if (this.#hurried) this.hurry();
      else this.#rest(performance.now() - began);
    }
  }

  #rest(tookMs) {
    const pause = Math.max(this.leastMs, 2 * tookMs);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#wanted) this.#run();
    }, pause);
  }
}

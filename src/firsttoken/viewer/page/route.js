// Where in the page one is: the hash, taken apart and put together.

import { queryString } from "./api.js";

/** Return `{view, path, query}` of a hash; each value of `query` is an array. */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view = "", ...rest] = path.split("/").map(decodePart);
  const query = Object.create(null);
  for (const [name, value] of new URLSearchParams(search)) (query[name] ??= []).push(value);
  return { view: view || "list", path: rest.filter(Boolean), query };
}

/** Return the hash of a place in the page. */
export function routeTo(view, path = [], query = {}) {
  const params = queryString(query);
  const place = [view === "list" ? "" : view, ...path.map(encodeURIComponent)].join("/");
  return `#/${place}${params ? `?${params}` : ""}`;
}

/** Return the hash of a trace, with one of its spans in view if given. */
export function traceRoute(traceId, spanId = null) {
  return routeTo("trace", spanId ? [traceId, spanId] : [traceId]);
}

function decodePart(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

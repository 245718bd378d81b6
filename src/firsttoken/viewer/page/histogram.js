// A histogram on a logarithmic axis with its percentiles: one set filled, a second one as an outline.

import { h, svg } from "./dom.js";
import { formatChange, formatCount } from "./format.js";

const WIDTH = 240;
const HEIGHT = 64;
const PERCENTILES = ["p50", "p90", "p95", "p99"];

/** Return the bounds that hold all of `dists` (each as the server sends it, or null): ascending, or null. */
export function domainOf(dists) {
  const bounds = new Set();
  let [least, most] = [Infinity, -Infinity];
  for (const dist of dists) {
    for (const [bound, count] of dist?.buckets ?? []) {
      bounds.add(bound);
      if (!count) continue;
      least = Math.min(least, bound);
      most = Math.max(most, bound);
    }
  }
  if (most === -Infinity) return null;
  const ascending = [...bounds].sort((a, b) => a - b);
  const first = ascending.indexOf(least);
  const inside = ascending.slice(first, ascending.indexOf(most) + 1);
  const ratio = inside.length > 1 ? inside[1] / inside[0] : Math.SQRT2;
  return [first > 0 ? ascending[first - 1] : least / ratio, ...inside];
}

/** Return the figure: `sets` are one or two of `{dist, name}`, `format` writes a value. */
export function histogram(sets, domain, { label, format, betterLow }) {
  const [now, before] = sets;
  if (!domain || sets.every(({ dist }) => !dist))
    return h("div", { class: "histogram none dim" }, label, h("span", {}, "not told"));
  const most = Math.max(...sets.flatMap(({ dist }) => shares(dist, domain)));
  const text = sets
    .filter(({ dist }) => dist)
    .map(
      ({ dist, name }) =>
        `${name}, ${formatCount(dist.count, "value")}: ` +
        PERCENTILES.map((key) => `${key} ${format(dist[key])}`).join(", "),
    )
    .join("; ");
  return h(
    "figure",
    { class: "histogram" },
    h("figcaption", {}, label),
    svg(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `${label}. ${text}`,
      },
      bars(shares(now.dist, domain), most),
      before ? outline(shares(before.dist, domain), most) : null,
      now.dist ? markers(now.dist, domain) : null,
    ),
    h("div", { class: "ends dim" }, h("span", {}, format(domain[0])), h("span", {}, format(domain.at(-1)))),
    percentileTable(sets, format, betterLow),
  );
}

function shares(dist, domain) {
  const inner = new Array(domain.length - 1).fill(0);
  for (const [bound, count] of dist?.buckets ?? []) {
    const at = domain.indexOf(bound) - 1;
    if (at >= 0) inner[at] += count / dist.count;
  }
  return inner;
}

function bars(values, most) {
  const wide = WIDTH / values.length;
  return values.map(
    (value, index) =>
      value > 0 &&
      svg("rect", {
        class: "bar-a",
        x: index * wide + 0.5,
        width: Math.max(1, wide - 1),
        y: HEIGHT - tallOf(value, most),
        height: tallOf(value, most),
      }),
  );
}

function outline(values, most) {
  const wide = WIDTH / values.length;
  const steps = values.map((value, index) => `V${HEIGHT - tallOf(value, most)}H${(index + 1) * wide}`).join("");
  return svg("path", { class: "line-b", d: `M0 ${HEIGHT}${steps}V${HEIGHT}` });
}

function tallOf(value, most) {
  return value > 0 ? Math.max(1.5, (value / most) * (HEIGHT - 6)) : 0;
}

function markers(dist, domain) {
  return PERCENTILES.map((key) => {
    const x = xOf(dist[key], domain);
    return svg("line", { class: `marker ${key}`, x1: x, x2: x, y1: 0, y2: HEIGHT });
  });
}

function xOf(value, domain) {
  const after = domain.findIndex((bound) => bound >= value);
  if (after <= 0) return after === 0 ? 0 : WIDTH;
  const [low, high] = [domain[after - 1], domain[after]];
  const part = value > 0 && low > 0 ? Math.log(value / low) / Math.log(high / low) : 0;
  return ((after - 1 + part) / (domain.length - 1)) * WIDTH;
}

function percentileTable([now, before], format, betterLow) {
  return h(
    "table",
    { class: "percentiles" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        before ? h("td") : null,
        PERCENTILES.map((key) => h("th", { scope: "col", class: key }, key)),
      ),
    ),
    h(
      "tbody",
      {},
      percentileRow(now, format, before && "a"),
      before ? percentileRow(before, format, "b") : null,
      before
        ? h(
            "tr",
            {},
            h("th", { scope: "row", class: "dim" }, "Δ"),
            PERCENTILES.map((key) => changeCell(now.dist?.[key], before.dist?.[key], betterLow)),
          )
        : null,
    ),
  );
}

function percentileRow({ dist, name }, format, kind) {
  return h(
    "tr",
    { class: kind },
    kind ? h("th", { scope: "row", title: name }, kind.toUpperCase()) : null,
    PERCENTILES.map((key) => h("td", {}, format(dist?.[key]))),
  );
}

/** Return a cell with the change from `before` to `now`, a fifth better or worse marked (`betterLow` null: neither). */
export function changeCell(now, before, betterLow) {
  if (!before || now === null || now === undefined) return h("td", { class: "dim" }, "–");
  const ratio = now / before;
  if (betterLow === null) return h("td", { class: "dim" }, formatChange(now, before));
  const worse = betterLow ? ratio > 1.2 : ratio < 1 / 1.2;
  const better = betterLow ? ratio < 1 / 1.2 : ratio > 1.2;
  const says = worse ? "worse" : better ? "better" : null;
  return h(
    "td",
    { class: says ?? "dim", title: says },
    says ? (ratio > 1 ? "▲ " : "▼ ") : "",
    formatChange(now, before),
  );
}

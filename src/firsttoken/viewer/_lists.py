"""Lists of streams: filters, order, facets, and how their times are distributed. Floor 5 (viewer); readers.

Every value of a filter travels to SQLite as a parameter; what becomes SQL text is in the tables here.
"""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from firsttoken.viewer._columns import SHOWN, gap_of

SORTS: Final = {
    "start": "start_ms",
    "ttft": "time_to_first_token_s",
    "tokens": "output_tokens",
    "tokens_per_second": "tokens_per_second",
    "gap_p95": "gap_p95_s",
    "gap_max": "gap_max_s",
    "stalls": "stall_count",
    "duration": "duration_s",
}
ORDERS: Final = ("desc", "asc")
GROUPS: Final = ("model", "route", "service", "all")
#: The last is not a column of its own: a stream may have several.
FACETS: Final = ("outcome", "model", "service", "route", "cause")
LIMIT_MAX: Final = 1_000
#: Distributions are of the newest streams that match.
DISTRIBUTED_MAX: Final = 50_000
_FACET_VALUES: Final = 200
_BUCKETS_PER_OCTAVE: Final = 2

_COLUMNS: Final = ", ".join(SHOWN)
#: Columns of the distributions' exact values; the gaps come from each stream's counts.
_DISTRIBUTED: Final = ("time_to_first_token_s", "time_per_output_token_s", "tokens_per_second")
_GAPS: Final = "inter_token_latency_s"


@dataclass(frozen=True)
class Filter:
    """Which streams; what is empty or None does not filter.

    q: a text in model, service, name, route, error type or a culprit, or the beginning of a trace id.
    since_ms, until_ms: of the start, Unix time.
    """

    outcome: Sequence[str] = ()
    model: Sequence[str] = ()
    route: Sequence[str] = ()
    service: Sequence[str] = ()
    cause: Sequence[str] = ()
    min_ttft_s: float | None = None
    stalled: bool = False
    q: str = ""
    since_ms: float | None = None
    until_ms: float | None = None

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition as SQL, and its parameters."""
        conditions: list[str] = []
        values: list[Any] = []

        def add(condition: str, *given: Any) -> None:
            conditions.append(condition)
            values.extend(given)

        for column in ("outcome", "model", "route", "service"):
            if wanted := getattr(self, column):
                add(f"{column} IN ({', '.join('?' * len(wanted))})", *wanted)
        if self.cause:
            one = "instr(',' || causes || ',', ',' || ? || ',') > 0"
            add(f"({' OR '.join([one] * len(self.cause))})", *self.cause)
        if self.min_ttft_s is not None:
            add("time_to_first_token_s >= ?", self.min_ttft_s)
        if self.stalled:
            add("stall_count > 0")
        if text := self.q.strip().lower():
            add(
                "(instr(search, ?) > 0 OR instr(lower(coalesce(route, '')), ?) > 0"
                " OR instr(trace_id, ?) = 1)",
                *[text] * 3,
            )
        if self.since_ms is not None:
            add("start_ms >= ?", self.since_ms)
        if self.until_ms is not None:
            add("start_ms <= ?", self.until_ms)
        return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), values


def streams(
    connection: sqlite3.Connection, wanted: Filter, *, sort: str, order: str, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of the streams that match, and how many there are in all.

    sort: one of `SORTS`; streams that have no such value come last.
    order: one of `ORDERS`.
    """
    where, values = wanted.where()
    column, direction = SORTS[sort], {"asc": "ASC", "desc": "DESC"}[order]
    # SQLite puts NULL below everything: at the end already, if the order is descending.
    nulls = f"{column} IS NULL, " if order == "asc" and column != "start_ms" else ""
    (total,) = connection.execute(f"SELECT count(*) FROM stream {where}", values).fetchone()
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM stream {where} "
        f"ORDER BY {nulls}{column} {direction}, rowid {direction} LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    return [_stream(row) for row in rows], total


def _stream(row: Sequence[Any]) -> dict[str, Any]:
    stream = dict(zip(SHOWN, row, strict=True))
    # They are JSON as they lie there.
    stream["stalls"] = msgspec.Raw(stream["stalls"].encode())
    stream["sparkline"] = msgspec.Raw(stream["sparkline"].encode())
    stream["truncated_detail"] = bool(stream["truncated_detail"])
    return stream


def facets(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return how many of all streams there are of each value, the most frequent first."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    rows = connection.execute(
        "SELECT outcome, model, service, route, causes, count(*) FROM stream GROUP BY 1, 2, 3, 4, 5"
    )
    for outcome, model, service, route, causes, count in rows:
        for name, value in zip(FACETS[:4], (outcome, model, service, route), strict=True):
            if value is not None:
                counts[name][value] += count
        for cause in causes.split(",") if causes else ():
            counts["cause"][cause] += count
    return {name: dict(counter.most_common(_FACET_VALUES)) for name, counter in counts.items()}


def distributions(connection: sqlite3.Connection, wanted: Filter, by: str) -> list[dict[str, Any]]:
    """Return the distributions of each group, the largest group first.

    by: one of `GROUPS`.
    """
    where, values = wanted.where()
    key = "'all'" if by == "all" else f"coalesce({by}, '')"
    rows = connection.execute(
        f"SELECT {key}, gaps, {', '.join(_DISTRIBUTED)} FROM stream {where} ORDER BY start_ms DESC LIMIT ?",
        [*values, DISTRIBUTED_MAX],
    )
    counts: Counter[str] = Counter()
    exact: dict[str, dict[str, Counter[float]]] = {
        name: defaultdict(Counter) for name in (*_DISTRIBUTED, _GAPS)
    }
    buckets: dict[str, Counter[int]] = defaultdict(Counter)
    decode = msgspec.json.Decoder(list[tuple[int, int]]).decode
    for group, gaps, *measured in rows:
        counts[group] += 1
        for name, value in zip(_DISTRIBUTED, measured, strict=True):
            if value is not None:
                exact[name][group][value] += 1
        into = buckets[group]
        for bucket, count in decode(gaps):
            into[bucket] += count
    for group, found in buckets.items():
        exact[_GAPS][group] = Counter({gap_of(bucket): count for bucket, count in found.items()})
    bounds = {name: bucket_bounds(groups.values()) for name, groups in exact.items()}
    order = ("time_to_first_token_s", _GAPS, "time_per_output_token_s", "tokens_per_second")
    return [
        {
            "key": group,
            "count": count,
            **{name: distribution(exact[name].get(group, {}), bounds[name]) for name in order},
        }
        for group, count in counts.most_common()
    ]


def bucket_bounds(groups: Iterable[Mapping[float, int]]) -> list[float]:
    """Return upper bounds of buckets, each `2 ** (1/2)` times the one before, that hold all values."""
    positive = [value for values in groups for value in values if value > 0]
    if not positive:
        return [0.0]
    first = math.floor(math.log2(min(positive)) * _BUCKETS_PER_OCTAVE)
    last = math.ceil(math.log2(max(positive)) * _BUCKETS_PER_OCTAVE)
    # A value that nobody can mean must not cost a bucket for every octave up to it.
    first = max(first, last - 64 * _BUCKETS_PER_OCTAVE)
    return [2.0 ** (step / _BUCKETS_PER_OCTAVE) for step in range(first, last + 1)]


def distribution(values: Mapping[float, int], bounds: Sequence[float]) -> dict[str, Any] | None:
    """Return what is to say of values, given with how often each is there; None if there are none."""
    count = sum(values.values())
    if not count:
        return None
    ordered = sorted(values.items())
    buckets = [0] * len(bounds)
    for value, times in ordered:
        buckets[min(bisect_left(bounds, value), len(bounds) - 1)] += times
    rank = _ranks(ordered, count)
    return {
        "count": count,
        "min": ordered[0][0],
        "p50": rank(0.50),
        "p90": rank(0.90),
        "p95": rank(0.95),
        "p99": rank(0.99),
        "max": ordered[-1][0],
        "mean": sum(value * times for value, times in ordered) / count,
        "buckets": [list(pair) for pair in zip(bounds, buckets, strict=True)],
    }


def _ranks(ordered: Sequence[tuple[float, int]], count: int) -> Callable[[float], float]:
    sums: list[int] = []
    seen = 0
    for _, times in ordered:
        seen += times
        sums.append(seen)
    # By the nearest-rank method: the least value that so many are not above.
    return lambda share: ordered[bisect_left(sums, math.ceil(share * count))][0]

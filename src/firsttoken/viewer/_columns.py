"""What is kept of a stream beside its bytes: one row, in columns. Floor 5 (viewer), pure; intake threads.

One table names every column; the schema, the insert and the API's `Stream` are made from it.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, Final

import msgspec

from firsttoken._tell.gap_columns import columns
from firsttoken._tell.told import Told, ToldStall

#: Columns of the API's `Stream`, in its order -> type in SQLite.
SHOWN: Final[dict[str, str]] = {
    "trace_id": "TEXT NOT NULL",
    "span_id": "TEXT NOT NULL",
    "name": "TEXT NOT NULL",
    "service": "TEXT",
    "operation": "TEXT",
    "provider": "TEXT",
    "model": "TEXT",
    "route": "TEXT",
    "outcome": "TEXT NOT NULL",
    "error_type": "TEXT",
    "start_ms": "REAL NOT NULL",
    "duration_s": "REAL NOT NULL",
    "time_to_first_chunk_s": "REAL",
    "time_to_first_token_s": "REAL",
    "hold_before_first_token_s": "REAL",
    "output_tokens": "INTEGER",
    "input_tokens": "INTEGER",
    "tokens_per_second": "REAL",
    "time_per_output_token_s": "REAL",
    "chunk_count": "INTEGER NOT NULL",
    "gap_p50_s": "REAL",
    "gap_p95_s": "REAL",
    "gap_p99_s": "REAL",
    "gap_max_s": "REAL",
    "stall_count": "INTEGER NOT NULL",
    "stall_threshold_s": "REAL",
    "wait_s": "REAL NOT NULL",
    "hold_s": "REAL",
    "loop_blocked_s": "REAL NOT NULL",
    "loop_block_culprit": "TEXT",
    "loop_block_share": "REAL",
    "stalls": "TEXT NOT NULL",
    "sparkline": "TEXT NOT NULL",
    "truncated_detail": "INTEGER NOT NULL",
}
#: Columns that nobody is shown: to search, to filter and to add up.
KEPT: Final[dict[str, str]] = {
    "causes": "TEXT NOT NULL",
    "search": "TEXT NOT NULL",
    "gaps": "TEXT NOT NULL",
}
STREAM_COLUMNS: Final = {**SHOWN, **KEPT}

SPARKLINE_WIDTH: Final = 60
#: A row tells the first stalls; the trace tells all.
_STALLS: Final = 20
_TEXT: Final = 500
#: Buckets per octave of gaps (µs): each is at most 6 % wide.
_FINE: Final = 16
_FINE_BITS: Final = 4


def stream_row(told: Told, name: str, service: str | None, route: str | None) -> tuple[Any, ...]:
    """Return the row of a stream, in the order of `STREAM_COLUMNS`.

    route: of the span itself; that of an ancestor is found in the store.
    """
    stalls = told.stalls[:_STALLS]
    culprits = [text for stall in stalls for text in (stall.file, stall.function) if text]
    words = [
        *(name, service, told.model, told.provider, told.operation, told.error_type),
        *(told.loop_block_culprit, *culprits),
    ]
    row: dict[str, Any] = {
        **stream_fields(told, name, service, route),
        "stalls": msgspec.json.encode([stall_fields(stall) for stall in stalls]).decode(),
        "sparkline": msgspec.json.encode(sparkline_of(told)).decode(),
        "causes": ",".join(sorted({_cut(stall.cause) or "" for stall in told.stalls[:1000]} - {""})),
        "search": "\n".join(_cut(word) or "" for word in dict.fromkeys(words) if word).lower(),
        "gaps": msgspec.json.encode(gap_counts(told)).decode(),
    }
    return tuple([row[column] for column in STREAM_COLUMNS])


def stream_fields(told: Told, name: str, service: str | None, route: str | None) -> dict[str, Any]:
    """Return the API's `Stream`, all but its stalls and its sparkline."""
    said = {
        column: _cut(value) if isinstance(value, str) else value
        for column in SHOWN
        if column not in ("stalls", "sparkline")
        for value in (getattr(told, column, None),)
    }
    return said | {
        "name": _cut(name),
        "service": _cut(service),
        "route": _cut(route),
        "start_ms": told.started_ns / 1e6,
        "stall_count": max(told.stall_count, len(told.stalls)),
        "truncated_detail": len(told.arrivals_s) < told.chunk_count,
    }


def stall_fields(stall: ToldStall) -> dict[str, Any]:
    """Return the API's `Stall`."""
    return {
        "at_s": stall.at_s,
        "duration_s": stall.duration_s,
        "cause": _cut(stall.cause),
        "origin": _cut(stall.origin),
        "wait_s": stall.wait_s,
        "hold_s": stall.hold_s,
        "loop_blocked_s": stall.loop_blocked_s,
        "file": _cut(stall.file),
        "line": stall.line,
        "function": _cut(stall.function),
    }


def sparkline_of(told: Told) -> list[float | None]:
    """Return the longest gap (s) in equal slices of the stream, rounded to 10 µs; None before the first."""
    slices = columns(told.content_arrivals_s, told.duration_s, told.duration_s, SPARKLINE_WIDTH)
    return [None if gap is None else round(gap, 5) for gap in slices]


def gap_counts(told: Told) -> list[list[int]]:
    """Return how many gaps are in each bucket that has any: (bucket, count), ascending.

    `gap_of` says which gap a bucket stands for.
    """
    arrivals_s = told.content_arrivals_s
    gaps_us = [int((end - begin) * 1e6 + 0.5) for begin, end in pairwise(arrivals_s)]
    # A bucket is exact up to 31 µs; above that it is a 16th of its octave.
    counts = Counter(
        [
            (shift << _FINE_BITS) + (gap >> shift)
            if (shift := gap.bit_length() - _FINE_BITS - 1) > 0
            else gap
            for gap in gaps_us
        ]
    )
    return [list(pair) for pair in sorted(counts.items())]


def gap_of(bucket: int) -> float:
    """Return the middle of a bucket (s)."""
    if bucket < 2 * _FINE:
        return bucket / 1e6
    shift = (bucket >> _FINE_BITS) - 1
    mantissa = bucket - (shift << _FINE_BITS)
    return ((mantissa << shift) + ((1 << shift) - 1) / 2) / 1e6


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TEXT else text[: _TEXT - 1] + "…"

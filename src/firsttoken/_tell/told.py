"""What a span says of a stream, in numbers again. Floor 3 (tell), pure; any thread.

The inverse of `emit`: tables, charts and the viewer show nothing but this. A span may come from anybody, so
what has not the type it should is taken as absent; nothing here raises.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from firsttoken import semconv
from firsttoken._clock import NS_PER_S
from firsttoken._think.timeline import MAX_TIMELINE_BYTES, decode_timeline
from firsttoken.errors import DecodeError

#: Name, Unix time (ns) and attributes.
SpanEvent = tuple[str, int, Mapping[str, Any]]

#: Base64 of the longest timeline, and of the numbers that were encoded in one go with the last that fitted.
_TIMELINE_MAX_CHARACTERS: Final = MAX_TIMELINE_BYTES * 4 // 3 + 1024
#: Times are rounded to microseconds in the timeline and exact in the attributes.
_ROUNDING_S: Final = 2e-6


@dataclass(frozen=True)
class ToldStall:
    """One stall. Times in s; `at_s` counts from the issue of the request."""

    at_s: float
    duration_s: float
    cause: str
    wait_s: float
    hold_s: float
    loop_blocked_s: float
    file: str | None
    line: int | None
    function: str | None
    origin: str | None = None


@dataclass(frozen=True)
class Told:
    """One stream, as its span tells it. Durations in s; absent is None.

    model: that answered, or the one that was asked for.
    stall_count: of all stalls; `stalls` are those that an event was told for.
    arrivals_s: of all chunks, from the issue of the request.
    chunk_event_count: chunks that the span's events stand for.
    done_s, error_s: when that was told, from the issue of the request.
    loop_block_culprit: "file:line function" that blocked the event loop longest; loop_block_share: the part
        of the stream that it took.
    """

    trace_id: str
    span_id: str
    started_ns: int
    duration_s: float
    outcome: str
    error_type: str | None
    finish_reasons: tuple[str, ...]
    time_to_first_chunk_s: float | None
    time_to_first_token_s: float | None
    output_tokens: int | None
    tokens_per_second: float | None
    chunk_count: int
    chunk_event_count: int
    gap_p50_s: float | None
    gap_p95_s: float | None
    gap_p99_s: float | None
    gap_max_s: float | None
    wait_s: float
    hold_s: float | None
    loop_blocked_s: float
    stalls: tuple[ToldStall, ...]
    arrivals_s: tuple[float, ...]
    operation: str | None = None
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    time_per_output_token_s: float | None = None
    hold_before_first_token_s: float | None = None
    stall_count: int = 0
    stall_threshold_s: float | None = None
    done_marker: str | None = None
    done_s: float | None = None
    error_s: float | None = None
    loop_block_culprit: str | None = None
    loop_block_share: float | None = None

    @property
    def content_arrivals_s(self) -> Sequence[float]:
        """The arrivals from the first token on; none if there was no token."""
        if self.time_to_first_token_s is None:
            return ()
        return self.arrivals_s[bisect_left(self.arrivals_s, self.time_to_first_token_s - _ROUNDING_S) :]


def told_of(
    *,
    trace_id: str,
    span_id: str,
    started_ns: int,
    ended_ns: int,
    attributes: Mapping[str, Any],
    events: Iterable[SpanEvent],
) -> Told:
    """Return what a finished span of a stream says.

    trace_id, span_id: lower hex.
    events: in the order of time. Those of chunks may be left out where there is a timeline.
    """
    said = Said(attributes)
    stalls: list[ToldStall] = []
    chunk_times_ns: list[int] = []
    chunk_event_count = 0
    done_marker: str | None = None
    first_s, done_s, error_s = said.number(semconv.TIME_TO_FIRST_TOKEN), None, None
    for name, at_ns, details in events:
        at_s = (at_ns - started_ns) / NS_PER_S
        if name == semconv.EVENT_CHUNK:
            chunk_event_count += Said(details).count(semconv.COALESCED) or 1
            chunk_times_ns.append(at_ns)
        elif name == semconv.EVENT_STALL:
            stalls.append(_stall(at_s, Said(details)))
        elif name == semconv.EVENT_DONE:
            done_s, done_marker = at_s, Said(details).text(semconv.DONE_MARKER)
        elif name == semconv.EVENT_ERROR:
            error_s = at_s
        elif name == semconv.EVENT_FIRST_TOKEN and first_s is None:
            first_s = at_s
    arrivals_s = arrivals_of(attributes) or tuple(
        max(0.0, (at_ns - started_ns) / NS_PER_S) for at_ns in sorted(chunk_times_ns)
    )
    return Told(
        trace_id=trace_id,
        span_id=span_id,
        started_ns=started_ns,
        duration_s=max(0, ended_ns - started_ns) / NS_PER_S,
        outcome=said.text(semconv.OUTCOME) or "untold",
        error_type=said.text(semconv.ERROR_TYPE),
        finish_reasons=said.texts(semconv.FINISH_REASONS),
        time_to_first_chunk_s=said.number(semconv.TIME_TO_FIRST_CHUNK),
        time_to_first_token_s=first_s,
        output_tokens=said.count(semconv.OUTPUT_TOKENS),
        tokens_per_second=said.number(semconv.TOKENS_PER_SECOND),
        chunk_count=said.count(semconv.CHUNK_COUNT) or 0,
        chunk_event_count=chunk_event_count,
        gap_p50_s=said.number(semconv.GAP_P50),
        gap_p95_s=said.number(semconv.GAP_P95),
        gap_p99_s=said.number(semconv.GAP_P99),
        gap_max_s=said.number(semconv.GAP_MAX),
        wait_s=said.number(semconv.WAIT) or 0.0,
        hold_s=said.number(semconv.HOLD),
        loop_blocked_s=said.number(semconv.LOOP_BLOCKED) or 0.0,
        stalls=tuple(stalls),
        arrivals_s=arrivals_s,
        operation=said.text(semconv.OPERATION_NAME),
        provider=said.text(semconv.PROVIDER_NAME),
        model=said.text(semconv.RESPONSE_MODEL) or said.text(semconv.REQUEST_MODEL),
        input_tokens=said.count(semconv.INPUT_TOKENS),
        time_per_output_token_s=said.number(semconv.TIME_PER_OUTPUT_TOKEN),
        hold_before_first_token_s=said.number(semconv.HOLD_BEFORE_FIRST_TOKEN),
        stall_count=said.count(semconv.STALL_COUNT) or 0,
        stall_threshold_s=said.number(semconv.STALL_THRESHOLD),
        done_marker=done_marker,
        done_s=done_s,
        error_s=error_s,
        loop_block_culprit=said.text(semconv.LOOP_BLOCK_CULPRIT),
        loop_block_share=said.number(semconv.LOOP_BLOCK_SHARE),
    )


def arrivals_of(attributes: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the arrivals in a span's timeline (s after the issue); none if it has none we could read."""
    timeline = attributes.get(semconv.TIMELINE)
    if not isinstance(timeline, str) or len(timeline) > _TIMELINE_MAX_CHARACTERS:
        return ()
    try:
        return tuple([us / 1e6 for us in decode_timeline(timeline)])
    except DecodeError:
        return ()


class Said:
    """Attributes that may have any type, read as the type they should have."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    def number(self, key: str) -> float | None:
        """Return a finite number."""
        value = self._attributes.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        return float(value)

    def count(self, key: str) -> int | None:
        """Return a whole number that is not negative."""
        value = self._attributes.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return None
        return value

    def text(self, key: str) -> str | None:
        """Return a text."""
        value = self._attributes.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a list."""
        value = self._attributes.get(key)
        if not isinstance(value, (list, tuple)):
            return ()
        return tuple(each for each in value if isinstance(each, str))


def _stall(at_s: float, said: Said) -> ToldStall:
    return ToldStall(
        at_s=at_s,
        duration_s=said.number(semconv.STALL_DURATION) or 0.0,
        cause=said.text(semconv.STALL_CAUSE) or "",
        wait_s=said.number(semconv.WAIT) or 0.0,
        hold_s=said.number(semconv.HOLD) or 0.0,
        loop_blocked_s=said.number(semconv.LOOP_BLOCKED) or 0.0,
        file=said.text(semconv.CODE_FILE_PATH),
        line=said.count(semconv.CODE_LINE_NUMBER),
        function=said.text(semconv.CODE_FUNCTION_NAME),
        origin=said.text(semconv.STALL_ORIGIN),
    )

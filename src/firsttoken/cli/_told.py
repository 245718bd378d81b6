"""What an exported span says of a stream, in numbers again. Pure: the demo's tables show nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id

from firsttoken import decode_timeline, semconv
from firsttoken._clock import NS_PER_S


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


@dataclass(frozen=True)
class Told:
    """One stream, as its span tells it. Durations in s; absent is None.

    arrivals_s: of all chunks, from the issue of the request.
    chunk_event_count: chunks that the span's events stand for.
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


def told_of(span: ReadableSpan) -> Told:
    """Return what a finished span of firsttoken says."""
    said: Mapping[str, Any] = span.attributes or {}
    context = span.context
    started_ns, ended_ns = span.start_time or 0, span.end_time or 0
    events: list[tuple[str, int, Mapping[str, Any]]] = [
        (event.name, event.timestamp, event.attributes or {}) for event in span.events
    ]
    return Told(
        trace_id=format_trace_id(context.trace_id) if context else "",
        span_id=format_span_id(context.span_id) if context else "",
        started_ns=started_ns,
        duration_s=(ended_ns - started_ns) / NS_PER_S,
        outcome=said.get(semconv.OUTCOME, "untold"),
        error_type=said.get(semconv.ERROR_TYPE),
        finish_reasons=tuple(said.get(semconv.FINISH_REASONS, ())),
        time_to_first_chunk_s=said.get(semconv.TIME_TO_FIRST_CHUNK),
        time_to_first_token_s=said.get(semconv.TIME_TO_FIRST_TOKEN),
        output_tokens=said.get(semconv.OUTPUT_TOKENS),
        tokens_per_second=said.get(semconv.TOKENS_PER_SECOND),
        chunk_count=said.get(semconv.CHUNK_COUNT, 0),
        chunk_event_count=sum(
            attributes.get(semconv.COALESCED, 1)
            for name, _, attributes in events
            if name == semconv.EVENT_CHUNK
        ),
        gap_p50_s=said.get(semconv.GAP_P50),
        gap_p95_s=said.get(semconv.GAP_P95),
        gap_p99_s=said.get(semconv.GAP_P99),
        gap_max_s=said.get(semconv.GAP_MAX),
        wait_s=said.get(semconv.WAIT, 0.0),
        hold_s=said.get(semconv.HOLD),
        loop_blocked_s=said.get(semconv.LOOP_BLOCKED, 0.0),
        stalls=tuple(
            _stall((at_ns - started_ns) / NS_PER_S, attributes)
            for name, at_ns, attributes in events
            if name == semconv.EVENT_STALL
        ),
        arrivals_s=tuple(us / 1e6 for us in decode_timeline(said.get(semconv.TIMELINE, ""))),
    )


def _stall(at_s: float, said: Mapping[str, Any]) -> ToldStall:
    return ToldStall(
        at_s=at_s,
        duration_s=said.get(semconv.STALL_DURATION, 0.0),
        cause=said.get(semconv.STALL_CAUSE, ""),
        wait_s=said.get(semconv.WAIT, 0.0),
        hold_s=said.get(semconv.HOLD, 0.0),
        loop_blocked_s=said.get(semconv.LOOP_BLOCKED, 0.0),
        file=said.get(semconv.CODE_FILE_PATH),
        line=said.get(semconv.CODE_LINE_NUMBER),
        function=said.get(semconv.CODE_FUNCTION_NAME),
    )

"""A finished stream as attributes and events of its span. Floor 3 (tell; OpenTelemetry API); teller thread.

Only the public span API is used, so any tracer provider, processor and exporter will do. Where all span
processors are ours, the chunk events travel packed, past the span; any other gets them as span events,
fitted to the span's own limit: the SDK forgets the oldest first, and the oldest is the first token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from opentelemetry.trace import Span, Status, StatusCode, TracerProvider

from firsttoken import semconv
from firsttoken._clock import to_s
from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.summary import FeltBlock, Stall, StreamSummary

Event = tuple[int, str, dict[str, Any]]

#: What the SDK allows where it does not say (OTEL_SPAN_EVENT_COUNT_LIMIT has the same default).
DEFAULT_EVENT_LIMIT: Final = 128
#: Kept free for events that the user's own code adds while the stream runs.
_SPARE_EVENTS: Final = 8


@dataclass(frozen=True)
class Finished:
    """One stream that is ready to be told.

    chunk_events: already coalesced to the configured number.
    timeline: all arrivals, packed.
    messages: the captured answer as `output_messages` makes it, where the user opted in.
    """

    summary: StreamSummary
    chunk_events: ChunkEvents
    timeline: str
    messages: str | None = None


def attributes_of(finished: Finished) -> dict[str, Any]:
    """Return the span attributes of a finished stream; what is not known is left out."""
    summary, blocks = finished.summary, finished.summary.loop_blocks
    told: dict[str, Any] = {
        semconv.PROVIDER_NAME: summary.provider,
        semconv.RESPONSE_ID: summary.response_id,
        semconv.RESPONSE_MODEL: summary.response_model,
        semconv.FINISH_REASONS: summary.finish_reasons or None,
        semconv.TIME_TO_FIRST_CHUNK: _s(summary.time_to_first_chunk_ns),
        semconv.INPUT_TOKENS: summary.input_tokens,
        semconv.OUTPUT_TOKENS: summary.output_tokens,
        semconv.CACHE_READ_TOKENS: summary.cache_read_tokens,
        semconv.CACHE_CREATION_TOKENS: summary.cache_creation_tokens,
        semconv.REASONING_TOKENS: summary.reasoning_tokens,
        semconv.ERROR_TYPE: summary.error_type,
        semconv.OUTCOME: summary.outcome.value,
        semconv.TIME_TO_FIRST_TOKEN: _s(summary.time_to_first_token_ns),
        semconv.TIME_TO_FIRST_ANSWER: _s(summary.time_to_first_answer_ns),
        semconv.CHUNK_COUNT: summary.chunk_count,
        semconv.UNDECODED_COUNT: summary.undecoded_count or None,
        semconv.GAP_P50: _s(summary.gap_p50_ns),
        semconv.GAP_P95: _s(summary.gap_p95_ns),
        semconv.GAP_P99: _s(summary.gap_p99_ns),
        semconv.GAP_MAX: _s(summary.gap_max_ns),
        semconv.STALL_COUNT: summary.stall_count,
        semconv.STALL_THRESHOLD: to_s(summary.stall_threshold_ns),
        semconv.WAIT: to_s(summary.wait_ns),
        semconv.HOLD: _s(summary.hold_ns),
        semconv.HOLD_BEFORE_FIRST_TOKEN: _s(summary.hold_before_first_token_ns),
        semconv.LOOP_BLOCKED: to_s(summary.loop_blocked_ns),
        semconv.LOOP_BLOCK_COUNT: blocks.count or None,
        semconv.LOOP_BLOCK_CULPRIT: blocks.culprit,
        semconv.LOOP_BLOCK_SHARE: blocks.culprit_ns / summary.duration_ns if blocks.culprit else None,
        semconv.TOKENS_PER_SECOND: summary.tokens_per_second,
        semconv.TIME_PER_OUTPUT_TOKEN: _s(summary.time_per_output_token_ns),
        semconv.TIMELINE: finished.timeline or None,
        semconv.OUTPUT_MESSAGES: finished.messages,
    }
    return _known(told)


def milestones_of(summary: StreamSummary) -> list[Event]:
    """Return the events that are never thinned, oldest first."""
    events: list[Event] = []
    if summary.time_to_first_token_ns is not None:
        at = summary.started_ns + summary.time_to_first_token_ns
        events.append((at, semconv.EVENT_FIRST_TOKEN, {semconv.SEQUENCE: summary.first_token_sequence}))
    events.extend(_stall_event(stall) for stall in summary.stalls)
    events.extend(_loop_block_event(block) for block in summary.loop_blocks.felt)
    if summary.error_type is not None:
        events.append((summary.ended_ns, semconv.EVENT_ERROR, {semconv.ERROR_TYPE: summary.error_type}))
    if summary.done_ns is not None:
        events.append(
            (summary.done_ns, semconv.EVENT_DONE, {semconv.DONE_MARKER: summary.done_marker or ""})
        )
    events.sort(key=itemgetter(0))
    return events


def chunk_event_rows(chunk_events: ChunkEvents) -> Iterator[Event]:
    """Yield the chunk events one by one, as any span takes them."""
    for time_ns, sequence, gap_ns, count, text in chunk_events.rows():
        attributes: dict[str, Any] = {semconv.SEQUENCE: sequence}
        if gap_ns != NO_GAP:
            attributes[semconv.GAP] = to_s(gap_ns)
        if count > 1:
            attributes[semconv.COALESCED] = count
        if text:
            attributes[semconv.TEXT] = text
        yield time_ns, semconv.EVENT_CHUNK, attributes


def fit(milestones: Sequence[Event], limit: int | None) -> tuple[list[Event], int]:
    """Return the milestones that fit `limit` events, and how many chunk events fit beside them.

    limit: None if there is none. If not even the milestones fit, loop blocks go first, then stalls, the
        latest of them.
    """
    if limit is None:
        return list(milestones), -1
    kept = list(milestones)
    for name in (semconv.EVENT_LOOP_BLOCK, semconv.EVENT_STALL):
        for event in reversed(milestones):
            if len(kept) <= limit:
                break
            if event[1] == name:
                kept.remove(event)
    return kept[:limit], max(0, limit - len(kept))


def tell(
    span: Span,
    finished: Finished,
    *,
    packed: bool = False,
    error_outcomes: Sequence[str],
    breathe: Callable[[], None],
) -> dict[str, Any]:
    """Put a finished stream on its span, all but its end, and return the attributes.

    packed: the chunk events reach every processor another way; the span gets only the milestones.
    """
    summary = finished.summary
    attributes = attributes_of(finished)
    span.set_attributes(attributes)
    if summary.outcome.value in error_outcomes:
        span.set_status(Status(StatusCode.ERROR))
    milestones, room = fit(milestones_of(summary), _event_limit(span))
    breathe()
    if packed:
        events: Iterator[Event] = iter(milestones)
    else:
        chunk_events = finished.chunk_events
        if 0 <= room < len(chunk_events):
            chunk_events = chunk_events.coalesced(room, breathe) if room else ChunkEvents.none()
        # Two sorted runs: the sort only merges them.
        events = iter(sorted([*milestones, *chunk_event_rows(chunk_events)], key=itemgetter(0)))
    for time_ns, name, details in events:
        span.add_event(name, details, time_ns)
        breathe()
    return attributes


class Carrier:
    """How a provider's span processors get the chunk events of a stream.

    all: every one of them takes them packed, so that the span needs none.
    """

    def __init__(self, takes: str, carrying: Callable[[int, ChunkEvents], AbstractContextManager[None]]):
        self.all = takes == "all"
        self._takes = takes
        self._carrying = carrying

    def carrying(self, span: Span, chunk_events: ChunkEvents) -> AbstractContextManager[None]:
        """Hand `chunk_events` over to those that take them packed when `span` ends in the block."""
        if self._takes == "none":
            return nullcontext()
        return self._carrying(span.get_span_context().span_id, chunk_events)


def carrier_for(provider: TracerProvider | None) -> Carrier:
    """Return how the chunk events reach the processors of `provider`."""
    # Where nobody has imported our exporter, nobody uses it; importing it would load the SDK.
    export = sys.modules.get("firsttoken.export")
    if export is None:
        return _BY_SPAN
    return Carrier(export.carries(provider), export.carrying)


def output_messages(spoken: Mapping[tuple[int, str], str], finishes: Mapping[int, str]) -> str:
    """Return captured text as JSON, one message a choice.

    spoken: by choice and part (`reasoning` or `text`).
    finishes: the finish reasons, by choice.

    Source: GenAI conventions, gen_ai.output.messages.
    """
    messages = []
    for choice in sorted({choice for choice, _ in spoken}):
        parts = [
            {"type": part, "content": spoken[choice, part]}
            for part in ("reasoning", "text")
            if (choice, part) in spoken
        ]
        messages.append({"role": "assistant", "parts": parts, "finish_reason": finishes.get(choice, "")})
    return json.dumps(messages, ensure_ascii=False)


_BY_SPAN: Final = Carrier("none", lambda span_id, chunk_events: nullcontext())


def _stall_event(stall: Stall) -> Event:
    attributes: dict[str, Any] = {
        semconv.SEQUENCE: stall.sequence,
        semconv.STALL_CAUSE: stall.cause.value,
        semconv.STALL_DURATION: to_s(stall.duration_ns),
        semconv.STALL_SHARE: round(stall.share, 4),
        semconv.WAIT: to_s(stall.wait_ns),
        semconv.HOLD: to_s(stall.hold_ns),
        semconv.LOOP_BLOCKED: to_s(stall.loop_blocked_ns),
    }
    place = {
        semconv.STALL_ORIGIN: stall.origin,
        semconv.LOOP_BLOCK_KIND: stall.kind,
        semconv.LOOP_BLOCK_THREAD: stall.thread,
        semconv.CODE_FILE_PATH: stall.file,
        semconv.CODE_LINE_NUMBER: stall.line,
        semconv.CODE_FUNCTION_NAME: stall.function,
    }
    return stall.started_ns, semconv.EVENT_STALL, attributes | _known(place)


def _loop_block_event(block: FeltBlock) -> Event:
    attributes: dict[str, Any] = {
        semconv.LOOP_BLOCK_KIND: block.kind,
        semconv.LOOP_BLOCK_DURATION: to_s(block.duration_ns),
        semconv.LOOP_BLOCKED: to_s(block.cost_ns),
    }
    place = {
        semconv.LOOP_BLOCK_THREAD: block.thread,
        semconv.CODE_FILE_PATH: block.file,
        semconv.CODE_LINE_NUMBER: block.line,
        semconv.CODE_FUNCTION_NAME: block.function,
        semconv.CODE_STACKTRACE: "\n".join(block.stack) or None,
    }
    return block.started_ns, semconv.EVENT_LOOP_BLOCK, attributes | _known(place)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value is not None}


def _event_limit(span: Span) -> int | None:
    """Return how many more events this span can take; None for no limit."""
    limits = getattr(span, "_limits", None)
    limit: int | None = getattr(limits, "max_events", DEFAULT_EVENT_LIMIT)
    if limit is None:
        return None
    mine = limit - len(getattr(span, "events", ()))
    return max(0, mine - min(_SPARE_EVENTS, mine // 8))


def _s(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else to_s(duration_ns)

"""The spans that the export benchmarks send: streams of a language model, with as many chunks as asked."""

from __future__ import annotations

import random
import time
from array import array

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.semconv import COALESCED, EVENT_CHUNK, GAP, SEQUENCE

RESOURCE = Resource({"service.name": "bench", "telemetry.sdk.language": "python"})
SCOPE = InstrumentationScope("bench", "1")
NOW = time.time_ns()
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.output_tokens": 1000,
    "server.address": "api.example.com",
    "server.port": 443,
    "firsttoken.time_to_first_token": 0.4127,
    "firsttoken.outcome": "completed",
    "gen_ai.request.stream": True,
}


def times_of(events: int) -> array[int]:
    """Return made-up arrival times, 20 ms apart on average."""
    times = array("q")
    at = NOW
    for _ in range(events):
        times.append(at)
        at += int(random.random() * 40e6)
    return times


def span(events: tuple[Event, ...] = ()) -> ReadableSpan:
    """Return an ended span."""
    context = SpanContext(random.getrandbits(128), random.getrandbits(64) | 1, False, TraceFlags(1))
    return ReadableSpan(
        "chat gpt-4o-mini",
        context,
        resource=RESOURCE,
        attributes=ATTRIBUTES,
        events=events,
        instrumentation_scope=SCOPE,
        start_time=NOW,
        end_time=NOW + 20_000_000_000,
    )


def chunk_events(events: int, *, joined: bool = False) -> ChunkEvents:
    """Return packed events, one a chunk; or one for each three chunks of a longer stream."""
    return ChunkEvents(times_of(3 * events)).coalesced(events) if joined else ChunkEvents(times_of(events))


def as_objects(chunk_events: ChunkEvents) -> tuple[Event, ...]:
    """Return what a stock processor needs for the same events."""
    events = []
    for time_ns, sequence, gap_ns, count, _ in chunk_events.rows():
        attributes: dict[str, int | float] = {SEQUENCE: sequence}
        if gap_ns != NO_GAP:
            attributes[GAP] = gap_ns / 1e9
        if count > 1:
            attributes[COALESCED] = count
        events.append(Event(EVENT_CHUNK, attributes, time_ns))
    return tuple(events)

"""The spans that the export benchmarks send: streams of a language model, with as many chunks as asked."""

from __future__ import annotations

import random
import time
from array import array

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

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


def as_objects(times: array[int]) -> tuple[Event, ...]:
    """Return what a stock processor needs for the same chunk events."""
    before = times[0]
    events = []
    for sequence, at in enumerate(times):
        attributes = {"firsttoken.sequence": sequence, "firsttoken.gap": (at - before) / 1e9}
        events.append(Event("firsttoken.chunk", attributes, at))
        before = at
    return tuple(events)

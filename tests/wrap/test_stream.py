"""`trace_stream`: every argument checked at the call, and time counted from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace

from firsttoken import ConfigError, trace_stream, traced
from firsttoken._clock import wall_ns
from tests.conftest import Traces
from tests.scenes import ManualClock

WRONG: list[Any] = [
    ({"model": 1}, TypeError, "model is a str or None, not int"),
    ({"provider": b"acme"}, TypeError, "provider is a str or None"),
    ({"operation": 1}, TypeError, "operation is a str"),
    ({"name": ["a"]}, TypeError, "name is a str"),
    ({"attributes": [("a", 1)]}, TypeError, "attributes is a mapping or None, not list"),
    ({"decoder": "openai.chatt"}, ConfigError, "openai.chat"),
    ({"decoder": 5}, ConfigError, "names are: "),
    ({"parent": trace.INVALID_SPAN}, TypeError, "parent is an OpenTelemetry Context or None"),
    ({"tracer_provider": "otlp"}, TypeError, "tracer_provider is a TracerProvider or None, not str"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG)
def test_a_wrong_argument_is_refused_at_the_call(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        trace_stream(iter("ab"), **options)
    with pytest.raises(error, match=message):
        traced(**options)


@pytest.mark.parametrize(
    "source", ["text", b"bytes", bytearray(b"bytes"), {"a": 1}, 5, None, object(), len]
)
def test_what_can_be_no_stream_is_refused_and_what_can_is_named(source: Any) -> None:
    with pytest.raises(TypeError, match=r"async iterable.*awaitable.*context manager.*not"):
        trace_stream(source)


@pytest.mark.parametrize(
    ("started_at_ns", "error"),
    [
        (1.5, TypeError),
        (True, TypeError),
        ("now", TypeError),
        (0, ConfigError),
        (-1, ConfigError),
        (time.monotonic_ns() // 1_000, ConfigError),
        (wall_ns() + 3600 * 10**9, ConfigError),
        (int(time.time()), ConfigError),
    ],
)
def test_a_start_that_is_no_unix_time_is_refused(started_at_ns: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="started_at_ns"):
        trace_stream(iter("ab"), started_at_ns=started_at_ns)


def test_time_counts_from_the_start_that_was_given(traces: Traces) -> None:
    began = wall_ns() - 5 * 10**9
    stream: Any = trace_stream(iter("ab"), started_at_ns=began, tracer_provider=traces.provider)
    list(stream)
    span = traces.span()
    assert abs(span.start_time - began) < 10**8
    assert 5.0 <= span.attributes["gen_ai.response.time_to_first_chunk"] < 65.0


def test_time_counts_from_the_call_and_a_late_consumer_is_told_apart(
    traces: Traces, clock: ManualClock
) -> None:
    async def source() -> AsyncIterator[str]:
        clock.advance(0.2)
        yield "a"

    async def main() -> None:
        stream = trace_stream(source(), tracer_provider=traces.provider)
        clock.advance(0.3)
        assert [chunk async for chunk in stream] == ["a"]

    asyncio.run(main())
    attributes = traces.span().attributes
    assert attributes["firsttoken.time_to_first_token"] == 0.5
    assert attributes["firsttoken.hold_before_first_token"] == 0.3
    assert (attributes["firsttoken.wait"], attributes["firsttoken.hold"]) == (0.2, 0.3)


def test_what_was_asked_is_on_the_span_from_its_start(traces: Traces) -> None:
    stream: Any = trace_stream(
        iter("ab"),
        model="tiny",
        provider="acme",
        operation="text_completion",
        attributes={"user.tier": "gold"},
        tracer_provider=traces.provider,
    )
    list(stream)
    span = traces.span()
    assert span.name == "text_completion tiny"
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert span.attributes["user.tier"] == "gold"


def test_a_predicate_or_a_chunk_names_the_end(traces: Traces) -> None:
    for done in ("END", lambda chunk: chunk == "END"):
        stream: Any = trace_stream(iter(["a", "END", "b"]), done=done, tracer_provider=traces.provider)
        list(stream)
    assert [span.attributes["firsttoken.done.marker"] for span in _done_events(traces)] == ["done", "done"]


def _done_events(traces: Traces) -> list[Any]:
    events = [event for span in traces.spans() for event in span.events]
    return [event for event in events if event.name == "firsttoken.done"]

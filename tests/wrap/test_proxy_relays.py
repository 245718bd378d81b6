"""Relays: what is sent to a traced generator, or thrown into it, reaches its source and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from opentelemetry import trace

import firsttoken
from tests.conftest import Traces
from tests.scenes import ManualClock


def traced_by(traces: Traces, source: Any, **options: Any) -> Any:
    return firsttoken.trace_stream(source, tracer_provider=traces.provider, **options)


def outcome(traces: Traces) -> Any:
    return traces.span().attributes["firsttoken.outcome"]


async def echo() -> AsyncGenerator[Any, Any]:
    """Yield what was sent; a ValueError is a chunk, "stop" is the end."""
    got: Any = "first"
    while got != "stop":
        try:
            got = yield got
        except ValueError as error:
            got = f"caught {error}"


def echo_sync() -> Generator[Any, Any, Any]:
    got: Any = "first"
    while got != "stop":
        try:
            got = yield got
        except ValueError as error:
            got = f"caught {error}"
    return "returned"


def test_what_is_sent_and_thrown_reaches_the_source(traces: Traces) -> None:
    async def main() -> None:
        stream = traced_by(traces, echo())
        with pytest.raises(TypeError, match="non-None"):
            await stream.asend("too early")
        assert await anext(stream) == "first"
        assert await stream.asend("second") == "second"
        assert await stream.athrow(ValueError("third")) == "caught third"
        assert await stream.asend(None) is None
        assert await anext(stream) is None
        with pytest.raises(StopAsyncIteration):
            await stream.asend("stop")
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main())
    span = traces.span()
    assert (span.attributes["firsttoken.outcome"], span.attributes["firsttoken.chunk.count"]) == (
        "completed",
        5,
    )


def test_what_is_sent_and_thrown_reaches_a_sync_source(traces: Traces) -> None:
    stream = traced_by(traces, echo_sync())
    with pytest.raises(TypeError, match="non-None"):
        stream.send("too early")
    assert next(stream) == "first"
    assert stream.send("second") == "second"
    assert stream.throw(ValueError("third")) == "caught third"
    with pytest.raises(StopIteration) as stopped:
        stream.send("stop")
    assert stopped.value.value == "returned"
    assert list(stream) == []
    assert (outcome(traces), traces.span().attributes["firsttoken.chunk.count"]) == ("completed", 3)


def test_an_error_that_the_source_does_not_catch_is_its_failure(traces: Traces) -> None:
    async def main() -> None:
        stream = traced_by(traces, echo())
        await anext(stream)
        with pytest.raises(LookupError, match="thrown"):
            await stream.athrow(LookupError("thrown"))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main())
    assert (outcome(traces), traces.span().attributes["error.type"]) == ("failed", "LookupError")


def test_times_of_relayed_chunks_are_marked(traces: Traces, clock: ManualClock) -> None:
    async def slow() -> AsyncGenerator[Any, Any]:
        while True:
            clock.advance(1)
            yield "chunk"

    async def main() -> None:
        stream = traced_by(traces, slow())
        await anext(stream)
        clock.advance(0.5)
        await stream.asend("more")
        clock.advance(0.25)
        await stream.aclose()

    asyncio.run(main())
    attributes = traces.span().attributes
    assert (attributes["firsttoken.wait"], attributes["firsttoken.hold"]) == (2.0, 0.5)


def test_a_relayed_pull_finds_what_the_source_left_current(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")
    seen = []

    async def source() -> AsyncGenerator[Any, Any]:
        with tracer.start_as_current_span("held") as held:
            yield 1
            seen.append(trace.get_current_span() is held)
            yield 2

    async def main() -> None:
        stream = traced_by(traces, source())
        await anext(stream)
        await stream.asend("more")
        await stream.aclose()

    asyncio.run(main())
    assert seen == [True]

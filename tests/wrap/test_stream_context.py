"""The context of a stream: its source's spans are its children, on every pull, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from firsttoken import trace_stream
from tests.conftest import Traces


def family(traces: Traces) -> dict[str, str | None]:
    """Return each span's name and its parent's."""
    spans = traces.spans()
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent.span_id) if span.parent else None for span in spans}


async def making_spans(tracer: trace.Tracer, count: int = 3) -> AsyncGenerator[int, None]:
    with tracer.start_as_current_span("held"):
        for number in range(count):
            with tracer.start_as_current_span(f"pull {number}"):
                pass
            yield number


@pytest.mark.anyio
async def test_spans_of_the_source_are_the_streams_and_nothing_leaks(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")
    with tracer.start_as_current_span("caller") as caller:
        stream = trace_stream(making_spans(tracer), name="stream", tracer_provider=traces.provider)
        async for number in stream:
            assert trace.get_current_span() is caller
            with tracer.start_as_current_span(f"body {number}"):
                pass
        assert trace.get_current_span() is caller
    assert family(traces) == {
        "caller": None,
        "stream": "caller",
        "held": "stream",
        **{f"pull {number}": "held" for number in range(3)},
        **{f"body {number}": "caller" for number in range(3)},
    }


def test_spans_of_a_sync_source_are_the_streams(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")

    def source() -> Iterator[int]:
        for number in range(2):
            with tracer.start_as_current_span(f"pull {number}"):
                yield number

    with tracer.start_as_current_span("caller") as caller:
        for _ in trace_stream(source(), name="stream", tracer_provider=traces.provider):
            assert trace.get_current_span() is caller
    assert family(traces) == {"caller": None, "stream": "caller", "pull 0": "stream", "pull 1": "stream"}


def test_the_parent_is_the_one_at_the_call_or_the_one_that_was_given(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")
    with tracer.start_as_current_span("at the call"):
        stream: Any = trace_stream(iter("a"), name="stream", tracer_provider=traces.provider)
    list(stream)
    given = trace.set_span_in_context(tracer.start_span("given"), otel_context.Context())
    other: Any = trace_stream(iter("a"), name="other", parent=given, tracer_provider=traces.provider)
    list(other)
    trace.get_current_span(given).end()
    assert family(traces) == {"at the call": None, "stream": "at the call", "given": None, "other": "given"}


@pytest.mark.parametrize("way", ["create_task", "wait_for", "gather"])
def test_a_pull_in_a_task_of_its_own_nests_and_leaks_nothing(way: str, traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")
    user_variable: ContextVar[str] = ContextVar("user_variable", default="untouched")

    async def source() -> AsyncIterator[int]:
        for number in range(3):
            with tracer.start_as_current_span(f"pull {number}"):
                pass
            yield number

    async def pull(iterator: Any) -> Any:
        if way == "create_task":
            return await asyncio.create_task(iterator.__anext__())
        if way == "wait_for":
            return await asyncio.wait_for(anext(iterator), 60)
        return (await asyncio.gather(iterator.__anext__()))[0]

    async def main() -> None:
        user_variable.set("the user's")
        iterator = aiter(trace_stream(source(), name="stream", tracer_provider=traces.provider))
        assert [await pull(iterator) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(StopAsyncIteration):
            await pull(iterator)
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert user_variable.get() == "the user's"

    asyncio.run(main())
    assert family(traces) == {"stream": None, **{f"pull {number}": "stream" for number in range(3)}}


def test_streams_at_once_do_not_mix_their_children(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")

    async def source(name: str) -> AsyncIterator[int]:
        for number in range(5):
            with tracer.start_as_current_span(f"{name} {number}"):
                await asyncio.sleep(0)
            yield number

    async def consume(name: str) -> None:
        async for _ in trace_stream(source(name), name=name, tracer_provider=traces.provider):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(consume(f"s{number}") for number in range(10)))

    asyncio.run(main())
    parents = family(traces)
    assert all(parents[f"s{a} {b}"] == f"s{a}" for a in range(10) for b in range(5))

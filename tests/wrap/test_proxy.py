"""Proxies: what they are to `isinstance` and `inspect`; what is entered is left, what is open closed."""

from __future__ import annotations

import asyncio
import inspect
import threading
import types
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace

import firsttoken
from firsttoken._wrap import proxy as _proxy
from tests.conftest import Traces
from tests.scenes import streamed

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


def traced_by(traces: Traces, source: Any, **options: Any) -> Any:
    return firsttoken.trace_stream(source, tracer_provider=traces.provider, **options)


def outcome(traces: Traces) -> Any:
    return traces.span().attributes["firsttoken.outcome"]


class Response:
    """A stream of an SDK: iterable, a context manager, closable, with attributes of its own."""

    def __init__(self, *chunks: Any, fails: str = "") -> None:
        self.chunks = chunks
        self.fails = fails
        self.log: list[str] = []
        self.status = 200

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            for chunk in self.chunks:
                yield chunk
        finally:
            self.log.append("iteration closed")
            if "iteration" in self.fails:
                raise OSError("while closing the iteration")

    async def __aenter__(self) -> Response:
        self.log.append("entered")
        if "enter" in self.fails:
            raise OSError("while entering")
        return self

    async def __aexit__(self, *failure: Any) -> bool:
        self.log.append("left")
        return "swallow" in self.fails

    async def close(self) -> str:
        self.log.append("closed")
        return "the answer of close"


# --- identity -------------------------------------------------------------------------------------------


def test_an_async_generator_stays_one(traces: Traces) -> None:
    stream = traced_by(traces, streamed("ab"))
    assert inspect.isasyncgen(stream)
    assert isinstance(stream, types.AsyncGeneratorType | AsyncGenerator)
    assert {"asend", "athrow", "aclose", "ag_frame"} <= set(dir(stream))


def test_a_generator_stays_one(traces: Traces) -> None:
    stream = traced_by(traces, (chunk for chunk in "ab"))
    assert inspect.isgenerator(stream)
    assert isinstance(stream, types.GeneratorType | Generator)
    assert inspect.getgeneratorstate(stream) == inspect.GEN_CREATED


def test_a_stream_of_a_class_is_one_of_the_class_with_its_attributes(traces: Traces) -> None:
    response = Response("a")
    stream = traced_by(traces, response)
    assert isinstance(stream, Response)
    assert (stream.status, stream.chunks) == (200, ("a",))
    stream.status = 404
    assert response.status == 404
    with pytest.raises(AttributeError, match="nothing"):
        _ = stream.nothing
    assert repr(stream) == f"<traced {response!r}>"


def test_a_coroutine_and_its_stream_say_what_they_are(traces: Traces) -> None:
    async def ask() -> Response:
        return Response("a")

    async def main() -> None:
        pending = traced_by(traces, ask())
        assert inspect.iscoroutine(pending)
        assert inspect.isawaitable(pending)
        assert isinstance(await pending, Response)

    asyncio.run(main())


# --- ids and summary ------------------------------------------------------------------------------------


def test_ids_are_there_before_the_first_pull_and_the_summary_after_the_end(traces: Traces) -> None:
    stream = traced_by(traces, iter("ab"))
    ids = (stream.trace_id, stream.span_id)
    assert stream.summary is None
    assert list(stream) == ["a", "b"]
    context = traces.span().context
    assert ids == (trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id))
    assert stream.summary.chunk_count == 2


def test_without_a_provider_there_are_no_ids_and_no_summary() -> None:
    stream: Any = firsttoken.trace_stream(iter("ab"), tracer_provider=trace.NoOpTracerProvider())
    assert list(stream) == ["a", "b"]
    assert (stream.trace_id, stream.span_id, stream.summary) == (None, None, None)


# --- context managers -----------------------------------------------------------------------------------


def test_a_context_manager_is_entered_iterated_and_left(traces: Traces) -> None:
    response = Response("a", "b")

    async def main() -> None:
        async with traced_by(traces, response) as stream:
            assert isinstance(stream, Response)
            assert [chunk async for chunk in stream] == ["a", "b"]

    asyncio.run(main())
    assert response.log == ["entered", "iteration closed", "left"]
    assert outcome(traces) == "completed"


def test_leaving_a_context_manager_early_abandons(traces: Traces) -> None:
    response = Response("a", "b")

    async def main() -> None:
        async with traced_by(traces, response) as stream:
            async for _ in stream:
                break

    asyncio.run(main())
    assert response.log == ["entered", "iteration closed", "left"]
    assert outcome(traces) == "abandoned"


def test_a_failure_while_entering_is_the_streams(traces: Traces) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="while entering"):
            async with traced_by(traces, Response(fails="enter")):
                raise AssertionError("it was entered")

    asyncio.run(main())
    assert (outcome(traces), traces.span().attributes["error.type"]) == ("failed", "OSError")


def test_a_context_manager_is_left_even_if_its_iteration_cannot_be_closed(traces: Traces) -> None:
    response = Response("a", "b", fails="iteration")

    async def main() -> None:
        with pytest.raises(OSError, match="while closing the iteration"):
            async with traced_by(traces, response) as stream:
                await anext(aiter(stream))

    asyncio.run(main())
    assert response.log == ["entered", "iteration closed", "left"]


def test_a_context_manager_may_swallow_as_before(traces: Traces) -> None:
    async def main() -> None:
        async with traced_by(traces, Response("a", fails="swallow")) as stream:
            async for _ in stream:
                raise ValueError("in the body")

    asyncio.run(main())
    assert outcome(traces) == "abandoned"


def test_close_answers_as_the_streams_own_and_closes_the_iteration(traces: Traces) -> None:
    response = Response("a", "b")

    async def main() -> None:
        stream = traced_by(traces, response)
        await anext(aiter(stream))
        assert await stream.close() == "the answer of close"

    asyncio.run(main())
    assert response.log == ["iteration closed", "closed"]
    assert outcome(traces) == "abandoned"


def test_a_sync_context_manager_is_left_even_if_its_iteration_cannot_be_closed(traces: Traces) -> None:
    class Sync:
        left = False

        def __iter__(self) -> Iterator[str]:
            try:
                yield "a"
            finally:
                raise OSError("while closing the iteration")

        def __enter__(self) -> Sync:
            return self

        def __exit__(self, *failure: Any) -> None:
            self.left = True

    source = Sync()
    with pytest.raises(OSError, match="while closing"), traced_by(traces, source) as stream:
        next(iter(stream))
    assert source.left


def test_a_sync_context_manager_is_left_while_another_thread_reads(traces: Traces) -> None:
    class Blocking:
        """A stream whose reader waits until it is left, as one of a socket does."""

        def __init__(self) -> None:
            self.reading, self.left = threading.Event(), threading.Event()

        def __iter__(self) -> Blocking:
            return self

        def __next__(self) -> str:
            self.reading.set()
            assert self.left.wait(60)
            raise ConnectionError("closed under me")

        def __enter__(self) -> Blocking:
            return self

        def __exit__(self, *failure: Any) -> None:
            self.left.set()

    source = Blocking()
    with ThreadPoolExecutor(1) as threads:
        with traced_by(traces, source) as stream:
            reader = threads.submit(list, stream)
            assert source.reading.wait(60)
        with pytest.raises(ConnectionError, match="closed under me"):
            reader.result(60)
    assert outcome(traces) == "abandoned"


def test_a_generator_that_had_begun_before_is_closed_though_nobody_iterates_it(traces: Traces) -> None:
    closed = []

    async def chunks() -> AsyncIterator[str]:
        with closing_noted(closed):
            yield "a"
            yield "b"

    def chunks_sync() -> Iterator[str]:
        with closing_noted(closed):
            yield "a"
            yield "b"

    async def main() -> None:
        source = chunks()
        assert await anext(source) == "a"
        await traced_by(traces, source).aclose()

    asyncio.run(main())
    assert closed == ["closed"]
    source = chunks_sync()
    assert next(source) == "a"
    traced_by(traces, source).close()
    assert closed == ["closed", "closed"]
    assert traces.spans() == ()


@contextmanager
def closing_noted(closed: list[str]) -> Iterator[None]:
    try:
        yield
    finally:
        closed.append("closed")


def test_breaking_off_and_iterating_again_goes_on(traces: Traces) -> None:
    stream = traced_by(traces, map(str, range(4)))
    for chunk in stream:
        assert chunk == "0"
        break
    assert list(stream) == ["1", "2", "3"]
    assert traces.span().attributes["firsttoken.chunk.count"] == 4


def test_the_proxy_stands_in_nobodys_way() -> None:
    stream: Any = firsttoken.trace_stream(streamed("ab"))
    assert type(aiter(stream)) is types.AsyncGeneratorType
    assert _proxy.AsyncTracedGenerator in type(stream).__mro__

"""Sources that go on after an error or a cancelled pull go on when they are traced; generators end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import anyio
import pytest
from opentelemetry import trace

import firsttoken
from firsttoken.pipeline import buffer
from firsttoken.testing import settle
from tests.conftest import Traces
from tests.replay_clients import configured

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


def traced_by(traces: Traces, source: Any) -> Any:
    return firsttoken.trace_stream(source, tracer_provider=traces.provider)


def outcome_and_count(traces: Traces) -> tuple[Any, Any]:
    attributes = traces.span().attributes
    return attributes["firsttoken.outcome"], attributes["firsttoken.chunk.count"]


class Queued:
    """An iterator over a queue: a pull that is cancelled loses nothing. None is the end."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.is_closed = False

    def __aiter__(self) -> Queued:
        return self

    async def __anext__(self) -> Any:
        chunk = await self.queue.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self.is_closed = True


class Made:
    """An iterable of another class than its iterator."""

    def __init__(self) -> None:
        self.made = Queued()
        self.queue = self.made.queue

    def __aiter__(self) -> Queued:
        return self.made


async def cancelled_pull(stream: Any) -> None:
    """Have a pull cancelled while it waits: in the reader's own task, and in one of its own."""
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_soon(scope.cancel)
        await anext(stream)
    assert scope.cancelled_caught
    pull = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)  # it waits now
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull


async def read_in_slices(source: Any, stream: Any) -> list[Any]:
    """Read a queue as one who gives up again and again."""
    await cancelled_pull(stream)
    source.queue.put_nowait("a")
    seen = [await anext(stream)]
    await cancelled_pull(stream)
    for chunk in ("b", "c", None):
        source.queue.put_nowait(chunk)
    return seen + [chunk async for chunk in stream]


@pytest.mark.parametrize("source_of", [Queued, Made])
@pytest.mark.parametrize("record", ["full", "arrivals"])
def test_a_pull_that_was_cancelled_loses_neither_chunks_nor_the_record(
    source_of: Any, record: str, traces: Traces
) -> None:
    async def main() -> list[Any]:
        source = source_of()
        return await read_in_slices(source, aiter(traced_by(traces, source)))

    with configured(record=record):
        assert asyncio.run(main()) == ["a", "b", "c"]
        assert outcome_and_count(traces) == ("completed", 3)


def test_nor_chunks_where_nobody_looks() -> None:
    source = Queued()

    async def main() -> list[Any]:
        stream = firsttoken.trace_stream(source, tracer_provider=trace.NoOpTracerProvider())
        return await read_in_slices(source, stream)

    assert asyncio.run(main()) == ["a", "b", "c"]
    assert not source.is_closed, "it was read to its end, as it is"


def test_a_pipelines_stream_goes_on_after_a_cancelled_pull(traces: Traces) -> None:
    async def main() -> list[Any]:
        gate = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await gate.wait()
            yield "b"

        async with buffer(source()) as buffered:
            stream = traced_by(traces, buffered)
            seen = [await anext(stream)]
            await cancelled_pull(stream)
            gate.set()
            return seen + [chunk async for chunk in stream]

    assert asyncio.run(main()) == ["a", "b"]
    (span,) = (span for span in traces.spans() if span.name == "chat")
    assert span.attributes["firsttoken.outcome"] == "completed"


@pytest.mark.parametrize("leave", ["dropped", "summary asked for", "closed"])
def test_a_cancelled_pull_is_the_end_if_nobody_asks_again(leave: str, traces: Traces) -> None:
    source = Queued()

    async def main() -> None:
        stream = traced_by(traces, source)
        source.queue.put_nowait("a")
        assert await anext(stream) == "a"
        await cancelled_pull(stream)
        assert traces.provider.force_flush()
        assert not source.is_closed
        if leave == "closed":
            await stream.aclose()
        if leave == "summary asked for":
            assert stream.summary.outcome == "cancelled"
            source.queue.put_nowait("the reader gets it all the same")
            assert await anext(stream) == "the reader gets it all the same"
        assert source.is_closed == (leave == "closed")

    asyncio.run(main())
    assert source.is_closed
    assert outcome_and_count(traces) == ("cancelled", 1)


def test_a_cancelled_consumer_is_cancelled(traces: Traces) -> None:
    async def main() -> None:
        source = Queued()
        source.queue.put_nowait("a")
        held = traced_by(traces, source)
        got = asyncio.Event()

        async def consume(stream: Any) -> None:
            async for _ in stream:
                got.set()

        consumer = asyncio.ensure_future(consume(held))
        del held
        await got.wait()
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer

    asyncio.run(main())
    assert outcome_and_count(traces) == ("cancelled", 1)


class Flaky:
    """An iterator of both kinds whose second pull fails, and whose third goes on."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.is_closed = False

    def pull(self, stop: type[Exception]) -> int:
        number = next(self.numbers)
        if number == 2:
            raise ValueError("a bad line")
        if number == 5:
            raise stop
        return number

    async def aclose(self) -> None:
        self.is_closed = True


class AsyncFlaky(Flaky):
    def __aiter__(self) -> AsyncFlaky:
        return self

    async def __anext__(self) -> int:
        return self.pull(StopAsyncIteration)


class SyncFlaky(Flaky):
    def __iter__(self) -> SyncFlaky:
        return self

    def __next__(self) -> int:
        return self.pull(StopIteration)


def test_an_iterator_goes_on_after_an_error_which_ends_the_record(traces: Traces) -> None:
    source = AsyncFlaky()

    async def main() -> list[int]:
        stream = aiter(traced_by(traces, source))
        seen = [await anext(stream)]
        with pytest.raises(ValueError, match="a bad line"):
            await anext(stream)
        assert not source.is_closed
        return seen + [number async for number in stream]

    assert asyncio.run(main()) == [1, 3, 4]
    assert outcome_and_count(traces) == ("failed", 1)


@pytest.mark.parametrize("pulled", ["the stream", "its iterator"])
def test_a_sync_iterator_goes_on_after_an_error_which_ends_the_record(pulled: str, traces: Traces) -> None:
    stream = traced_by(traces, SyncFlaky())
    iterator = stream if pulled == "the stream" else iter(stream)
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="a bad line"):
        next(iterator)
    assert list(stream) == [3, 4]
    assert outcome_and_count(traces) == ("failed", 1)


def test_a_generator_is_over_after_an_error(traces: Traces) -> None:
    class Lines:
        def __iter__(self) -> Iterator[int]:
            yield 1
            raise ValueError("a bad line")

        async def __aiter__(self) -> AsyncIterator[int]:
            yield 1
            raise ValueError("a bad line")

    async def main() -> list[int]:
        stream = aiter(traced_by(traces, Lines()))
        seen = [await anext(stream)]
        with pytest.raises(ValueError, match="a bad line"):
            await anext(stream)
        return seen + [number async for number in stream]

    assert asyncio.run(main()) == [1]
    assert outcome_and_count(traces) == ("failed", 1)


@pytest.mark.anyio
@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_pulls_that_were_cancelled_leave_nothing_to_collect_once_the_stream_is_read(
    traces: Traces,
) -> None:
    send, receive = anyio.create_memory_object_stream[str](2)

    class Received:
        def __aiter__(self) -> Received:
            return self

        async def __anext__(self) -> str:
            try:
                return await receive.receive()
            except anyio.EndOfStream:
                raise StopAsyncIteration from None

        async def aclose(self) -> None:
            raise AssertionError("it was read to its end")

    async def read() -> list[str]:
        stream = aiter(traced_by(traces, Received()))
        seen = []
        for chunk in ("a", "b"):
            for _ in range(2):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anext(stream)
            await send.send(chunk)
            seen.append(await anext(stream))
        await send.aclose()
        return seen + [chunk async for chunk in stream]

    with receive:
        assert await read() == ["a", "b"]
        await settle()
    assert outcome_and_count(traces) == ("completed", 2)

"""What is not a stream yet: awaited, entered, made a task of, or iterated as it is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry import trace

import firsttoken
from tests.conftest import Traces
from tests.scenes import ManualClock, chat, streamed

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


class Log:
    """What became of a source."""

    closed = 0
    left = 0


def traced_by(traces: Traces, source: Any, **options: Any) -> Any:
    return firsttoken.trace_stream(source, tracer_provider=traces.provider, **options)


async def counting(log: Log, count: int = 3) -> AsyncGenerator[int, None]:
    try:
        for number in range(count):
            yield number
    finally:
        log.closed += 1


async def ask(log: Log) -> Any:
    await asyncio.sleep(0)
    return counting(log)


@asynccontextmanager
async def connected(log: Log) -> AsyncIterator[Any]:
    stream = counting(log)
    try:
        yield stream
    finally:
        await stream.aclose()
        log.left += 1


async def collect(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


async def by_await(pending: Any) -> list[Any]:
    return await collect(await pending)


async def by_task(pending: Any) -> list[Any]:
    return await collect(await asyncio.create_task(pending))


async def by_gather(pending: Any) -> list[Any]:
    (stream,) = await asyncio.gather(pending)
    return await collect(stream)


async def by_wait_for(pending: Any) -> list[Any]:
    return await collect(await asyncio.wait_for(pending, 60))


async def by_iteration(pending: Any) -> list[Any]:
    return await collect(pending)


async def by_entering(pending: Any) -> list[Any]:
    async with pending as stream:
        return await collect(stream)


@pytest.mark.parametrize("way", [by_await, by_task, by_gather, by_wait_for, by_iteration])
def test_an_awaitable_is_traced_whichever_way_it_is_awaited(way: Any, traces: Traces) -> None:
    async def main() -> None:
        assert await way(traced_by(traces, ask(Log()))) == [0, 1, 2]

    asyncio.run(main())
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "completed"
    assert span.attributes["firsttoken.chunk.count"] == 3


@pytest.mark.parametrize("way", [by_entering, by_iteration])
def test_an_async_context_manager_is_traced_whichever_way_it_is_entered(way: Any, traces: Traces) -> None:
    log = Log()

    async def main() -> None:
        assert await way(traced_by(traces, connected(log))) == [0, 1, 2]

    asyncio.run(main())
    assert (log.closed, log.left) == (1, 1)
    assert traces.span().attributes["firsttoken.outcome"] == "completed"


@pytest.mark.parametrize("way", [by_await, by_iteration])
def test_a_task_is_traced(way: Any, traces: Traces) -> None:
    async def main() -> None:
        task = asyncio.create_task(ask(Log()))
        assert await way(traced_by(traces, task)) == [0, 1, 2]

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.chunk.count"] == 3


def test_a_stream_that_is_awaitable_as_well_stays_both(traces: Traces) -> None:
    class Both:
        def __await__(self) -> Any:
            return ask(Log()).__await__()

        def __aiter__(self) -> Any:
            return counting(Log())

    async def main() -> None:
        assert await collect(traced_by(traces, Both())) == [0, 1, 2]
        assert await by_await(traced_by(traces, Both())) == [0, 1, 2]

    asyncio.run(main())


def test_a_stream_that_is_iterable_either_way_stays_so(traces: Traces) -> None:
    class Both:
        def __iter__(self) -> Any:
            return iter("ab")

        def __aiter__(self) -> Any:
            return streamed("ab")

    assert list(traced_by(traces, Both())) == ["a", "b"]


def test_a_sync_context_manager_is_traced(traces: Traces) -> None:
    left = []

    @contextmanager
    def connect() -> Iterator[Any]:
        yield iter("abc")
        left.append(True)

    with traced_by(traces, connect()) as stream:
        assert list(stream) == ["a", "b", "c"]
    assert list(traced_by(traces, connect())) == ["a", "b", "c"]
    assert left == [True, True]
    assert [span.attributes["firsttoken.chunk.count"] for span in traces.spans()] == [3, 3]


@pytest.mark.parametrize("source", ["awaitable", "context manager"])
def test_leaving_early_closes_what_was_opened_at_once(source: str, traces: Traces) -> None:
    log = Log()

    async def main() -> None:
        pending = ask(log) if source == "awaitable" else connected(log)
        iterator = aiter(traced_by(traces, pending))
        assert await anext(iterator) == 0
        await iterator.aclose()
        assert log.closed == 1
        assert log.left == (source == "context manager")

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"


def test_leaving_an_entered_stream_early_abandons_it(traces: Traces) -> None:
    log = Log()

    async def main() -> None:
        async with traced_by(traces, connected(log)) as stream:
            async for _ in stream:
                break

    asyncio.run(main())
    assert (log.closed, log.left) == (1, 1)
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"


def test_a_stream_entered_and_never_iterated_is_abandoned(traces: Traces) -> None:
    async def main() -> None:
        async with traced_by(traces, connected(Log())):
            pass

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"


@pytest.mark.parametrize("way", [by_await, by_task, by_iteration])
def test_a_request_that_fails_is_the_streams_failure(way: Any, traces: Traces) -> None:
    async def refused() -> Any:
        raise ConnectionError("refused")

    async def main() -> None:
        with pytest.raises(ConnectionError, match="refused"):
            await way(traced_by(traces, refused()))

    asyncio.run(main())
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "failed"
    assert span.attributes["error.type"] == "ConnectionError"


def test_a_request_that_is_cancelled_is_a_cancelled_stream(traces: Traces) -> None:
    async def hang() -> Any:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(by_await(traced_by(traces, hang())))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.outcome"] == "cancelled"


def test_time_counts_from_the_call_and_waiting_for_the_response_is_no_hold(
    traces: Traces, clock: ManualClock
) -> None:
    async def slow() -> Any:
        clock.advance(0.4)
        return streamed(chat("a"))

    async def main() -> None:
        pending = traced_by(traces, slow())
        clock.advance(0.1)
        stream = await pending
        clock.advance(0.3)
        assert len(await collect(stream)) == 3

    asyncio.run(main())
    attributes = traces.span().attributes
    assert attributes["firsttoken.time_to_first_token"] == 0.8
    assert attributes["firsttoken.hold_before_first_token"] == 0.3


def test_spans_made_while_the_response_is_awaited_are_children_of_the_stream(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("test")

    async def ask_within_a_span() -> Any:
        with tracer.start_as_current_span("POST"):
            return streamed("ab")

    async def main() -> None:
        pending = traced_by(traces, ask_within_a_span())
        stream = await pending
        assert trace.get_current_span() is trace.INVALID_SPAN
        await collect(stream)

    asyncio.run(main())
    post, stream = sorted(traces.spans(), key=lambda span: span.name)
    assert (post.name, stream.name) == ("POST", "chat")
    assert post.parent.span_id == stream.context.span_id


def test_an_answer_that_is_no_stream_is_handed_over_and_told(traces: Traces) -> None:
    answer = {"id": "chatcmpl-1", "choices": []}

    async def ask_whole() -> Any:
        return answer

    async def main() -> None:
        assert await traced_by(traces, ask_whole()) is answer

    asyncio.run(main())
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "completed"
    assert span.attributes["firsttoken.chunk.count"] == 1


def test_what_is_never_awaited_warns_as_before_and_is_not_told(traces: Traces) -> None:
    pending = traced_by(traces, ask(Log()))
    with pytest.warns(RuntimeWarning, match="'ask' was never awaited"):
        del pending
    assert traces.spans() == ()


def test_a_coroutine_that_is_closed_is_not_told(traces: Traces) -> None:
    pending = traced_by(traces, ask(Log()))
    pending.close()
    assert inspect.iscoroutine(pending)
    assert traces.spans() == ()


def test_a_consumer_that_enters_late_is_told_apart(traces: Traces, clock: ManualClock) -> None:
    class Response:
        async def __aenter__(self) -> Response:
            return self

        async def __aexit__(self, *failure: Any) -> None:
            return None

        async def __aiter__(self) -> AsyncIterator[str]:
            clock.advance(0.1)
            yield "a"

    async def main() -> None:
        stream = traced_by(traces, Response())
        clock.advance(0.3)
        async with stream:
            await collect(stream)

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.hold_before_first_token"] == 0.3

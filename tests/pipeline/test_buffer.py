"""buffer: how far it runs ahead, what a cancelled pull costs, who is told what."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from firsttoken import ConfigError
from firsttoken.pipeline import buffer
from firsttoken.testing import ScriptedSource, SourceError
from tests.conftest import Traces
from tests.pipeline.conftest import Clock, no_task_left

pytestmark = pytest.mark.anyio


async def counting(pulled: list[int], end: int = 1000) -> AsyncIterator[int]:
    for number in range(end):
        pulled.append(number)
        yield number


@pytest.mark.parametrize("size", [1, 2, 7, 64])
async def test_all_items_come_in_order(size: int) -> None:
    async with buffer(counting([]), size) as stream:
        assert [item async for item in stream] == list(range(1000))


async def test_it_runs_ahead_as_far_as_it_is_told_and_no_further() -> None:
    pulled: list[int] = []
    async with buffer(counting(pulled), 3) as stream:
        await anyio.wait_all_tasks_blocked()
        assert pulled == []
        assert await anext(stream) == 0
        await anyio.wait_all_tasks_blocked()
        # One was taken, three are there, one waits for room.
        assert pulled == [0, 1, 2, 3, 4]


async def test_a_pull_that_is_cancelled_loses_nothing() -> None:
    go_on = anyio.Event()

    async def pausing() -> AsyncIterator[int]:
        yield 1
        await go_on.wait()
        yield 2
        yield 3

    async with buffer(pausing(), 4) as stream:
        assert await anext(stream) == 1
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(stream)
        assert scope.cancelled_caught
        go_on.set()
        assert [item async for item in stream] == [2, 3]


async def test_an_error_comes_after_the_items_to_every_task_that_shares_the_stream() -> None:
    source = ScriptedSource(chunks=tuple("abcdef"), then="raise")
    seen: Counter[str] = Counter()

    async def work(stream: Any) -> None:
        try:
            async for item in stream:
                seen[item] += 1
                await checkpoint()
        except SourceError:
            seen["error"] += 1

    made = buffer(source.as_async_generator(), 2)
    async with no_task_left(), made as stream, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work, stream)
    assert seen == {**dict.fromkeys("abcdef", 1), "error": 3}


async def test_a_source_is_pulled_and_closed_in_one_task_so_that_it_may_hold_scopes_open() -> None:
    tasks: set[int] = set()

    async def scoped() -> AsyncIterator[int]:
        with anyio.CancelScope():
            for number in range(10):
                tasks.add(anyio.get_current_task().id)
                yield number
                tasks.add(anyio.get_current_task().id)

    for pulls in (1, 4, 10):
        async with no_task_left(), buffer(scoped(), 2) as stream:
            for number in range(pulls):
                assert await anext(stream) == number
            await anyio.wait_all_tasks_blocked()
        assert len(tasks) == 1
        tasks.clear()


@pytest.mark.parametrize("leaves", ["the block", "the stream"])
@pytest.mark.parametrize("busy", ["full", "waiting"])
async def test_clean_up_of_the_source_may_await(leaves: str, busy: str) -> None:
    cleaned: list[str] = []

    class Careful:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> int:
            if busy == "waiting" and cleaned:
                await anyio.sleep_forever()
            cleaned.append("pulled")
            return 0

        async def aclose(self) -> None:
            await checkpoint()
            cleaned.append("closed")

    async with buffer(Careful(), 2) as stream:
        assert await anext(stream) == 0
        await anyio.wait_all_tasks_blocked()
        if leaves == "the stream":
            await stream.aclose()
            await anyio.wait_all_tasks_blocked()
            assert "closed" in cleaned
    assert "closed" in cleaned


async def test_clean_up_that_hangs_can_be_cancelled() -> None:
    hanging = anyio.Event()

    async def stuck() -> AsyncIterator[int]:
        try:
            while True:
                yield 0
        finally:
            hanging.set()
            await anyio.sleep_forever()

    async def consume() -> None:
        async with buffer(stuck(), 2) as stream:
            assert await anext(stream) == 0
            await anyio.wait_all_tasks_blocked()

    async with no_task_left(), anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await hanging.wait()
        tasks.cancel_scope.cancel()


async def test_an_error_in_clean_up_comes_out_of_the_block() -> None:
    async def untidy() -> AsyncIterator[int]:
        try:
            while True:
                yield 0
        finally:
            raise SourceError

    async def consume() -> None:
        async with buffer(untidy(), 2) as stream:
            assert await anext(stream) == 0
            await anyio.wait_all_tasks_blocked()

    with pytest.raises(SourceError):
        await consume()


async def test_who_never_waits_lets_others_run() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        async with buffer(counting([], 10_000), 100_000) as stream:
            async for _ in stream:
                pass
        tasks.cancel_scope.cancel()
    assert turns >= 100


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_where_tasks_are_eager_nothing_is_different() -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    async with no_task_left(), buffer(counting([], 100), 3) as stream:
        assert [item async for item in stream] == list(range(100))
    async with no_task_left(), buffer(counting([]), 3) as stream:
        assert await anext(stream) == 0


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda items: items, id="sequence"),
        pytest.param(lambda items: iter(items), id="iterator"),
        pytest.param(lambda items: _awaitable(items), id="awaitable"),
        pytest.param(lambda items: buffer(items, 1), id="operator"),
    ],
)
async def test_a_source_may_be(source: Any) -> None:
    items = ["a", "b", "c"]
    async with buffer(source(items), 2) as stream:
        assert [item async for item in stream] == items


async def _awaitable(items: list[str]) -> list[str]:
    return items


async def test_a_coroutine_that_was_never_needed_is_closed() -> None:
    async with buffer(_awaitable([]), 2):
        pass


async def test_put_wait_get_wait_and_depth_are_told(clock: Clock, traces: Traces) -> None:
    go_on = anyio.Event()

    async def bursts() -> AsyncIterator[int]:
        for number in range(4):
            yield number
        await go_on.wait()
        yield 4

    async with buffer(bursts(), 2, name="words", tracer_provider=traces.provider) as stream:
        assert await anext(stream) == 0
        # 1 and 2 are there, 3 waits for room: one second of backpressure.
        await anyio.wait_all_tasks_blocked()
        clock.advance(1)
        for number in (1, 2, 3):
            assert await anext(stream) == number
        async with anyio.create_task_group() as tasks:
            # Nothing is there: two seconds of starvation.
            tasks.start_soon(anext, stream)
            await anyio.wait_all_tasks_blocked()
            clock.advance(2)
            go_on.set()
        assert [item async for item in stream] == []
    span = traces.span()
    told = {key.removeprefix("firsttoken."): value for key, value in span.attributes.items()}
    assert span.name == "buffer words"
    assert told == {
        "outcome": "completed",
        "pipeline.operator": "buffer",
        "pipeline.size": 2,
        "pipeline.item.count": 5,
        "pipeline.drop.count": 0,
        "pipeline.depth.max": 2,
        "pipeline.depth.mean": pytest.approx(2 / 3),
        "pipeline.put_wait": 1.0,
        "pipeline.get_wait": 2.0,
    }


async def test_the_span_hangs_where_the_operator_was_made(traces: Traces) -> None:
    with traces.provider.get_tracer("test").start_as_current_span("request") as request:
        made = buffer([1], tracer_provider=traces.provider)
    async with made as stream:
        assert await anext(stream) == 1
    span = next(span for span in traces.spans() if span.name == "buffer")
    assert span.parent.span_id == request.get_span_context().span_id


async def test_what_the_source_makes_while_it_is_pulled_hangs_below_the_buffer(traces: Traces) -> None:
    async def spanning() -> AsyncIterator[int]:
        with traces.provider.get_tracer("test").start_as_current_span("look up"):
            await checkpoint()
        yield 1

    async with buffer(spanning(), tracer_provider=traces.provider) as stream:
        assert [item async for item in stream] == [1]
    child, span = traces.spans()
    assert (child.name, span.name) == ("look up", "buffer")
    assert child.parent.span_id == span.context.span_id


async def test_an_operator_that_feeds_another_is_linked_to_it(traces: Traces) -> None:
    inner = buffer([1], name="inner", tracer_provider=traces.provider)
    async with buffer(inner, name="outer", tracer_provider=traces.provider) as stream:
        assert [item async for item in stream] == [1]
    spans = {span.name: span for span in traces.spans()}
    (link,) = spans["buffer outer"].links
    assert link.context.span_id == spans["buffer inner"].context.span_id


async def test_a_failure_sets_the_status_and_the_type(traces: Traces) -> None:
    source = ScriptedSource(then="raise").as_async_generator()
    async with buffer(source, tracer_provider=traces.provider) as stream:
        for _ in range(3):
            await anext(stream)
        with pytest.raises(SourceError):
            await anext(stream)
    span = traces.span()
    assert span.attributes["error.type"] == f"{SourceError.__module__}.SourceError"
    assert span.status.status_code.name == "ERROR"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"source": 1}, TypeError),
        ({"source": "text"}, TypeError),
        ({"source": [], "size": 0}, ConfigError),
        ({"source": [], "size": 1.5}, TypeError),
        ({"source": [], "size": True}, TypeError),
        ({"source": [], "limiter": 4}, TypeError),
        ({"source": [], "tracer_provider": object()}, TypeError),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        buffer(**arguments)

"""Worker threads: waiting for one is told apart from running in one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from firsttoken._think.blame import THREAD_POOL, Claim
from firsttoken.pipeline import buffer, stage
from firsttoken.pipeline._threads import ThreadCalls
from tests.conftest import Traces
from tests.pipeline.conftest import Clock, no_task_left

pytestmark = pytest.mark.anyio


class FullPool:
    """A pool of one thread, which somebody else has for a while."""

    def __init__(self, clock: Clock) -> None:
        self.limiter = anyio.CapacityLimiter(1)
        self._clock = clock

    async def free_after(self, seconds: float) -> None:
        while self.limiter.statistics().tasks_waiting == 0:
            await anyio.lowlevel.checkpoint()
        self._clock.advance(seconds)
        self.limiter.release_on_behalf_of(self)

    async def __aenter__(self) -> FullPool:
        await self.limiter.acquire_on_behalf_of(self)
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self.limiter.borrowed_tokens == 0


async def test_a_sync_source_tells_waiting_for_a_thread_from_its_own_time(
    clock: Clock, traces: Traces
) -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            clock.advance(2)
            yield number

    async with FullPool(clock) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(pool.free_after, 5)
        made = buffer(slow(), 8, limiter=pool.limiter, tracer_provider=traces.provider)
        async with made as stream:
            assert [item async for item in stream] == [0, 1, 2]
    told = traces.span().attributes
    assert told["firsttoken.pipeline.thread_wait"] == 5.0
    assert told["firsttoken.pipeline.thread_run"] == 6.0


async def test_a_stage_in_threads_tells_it_too(clock: Clock, traces: Traces) -> None:
    async with FullPool(clock) as pool, anyio.create_task_group() as tasks:

        @stage(limiter=pool.limiter, tracer_provider=traces.provider)
        def slow(item: int) -> int:
            clock.advance(2)
            return item

        async def items() -> AsyncIterator[int]:
            yield 1
            yield 2

        tasks.start_soon(pool.free_after, 5)
        async with slow(items()) as stream:
            assert [item async for item in stream] == [1, 2]
    told = traces.span().attributes
    assert told["firsttoken.pipeline.thread_wait"] == 5.0
    assert told["firsttoken.pipeline.thread_run"] == 4.0


async def test_a_wait_that_is_long_is_remembered_with_its_time(clock: Clock) -> None:
    began_ns = clock.now_ns
    async with FullPool(clock) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(pool.free_after, 5)
        calls = ThreadCalls("mine", pool.limiter)
        assert await calls.run(len, "abc") == 3
        assert await calls.run(len, "ab") == 2
    assert calls.waits == [Claim(began_ns, began_ns + 5_000_000_000, THREAD_POOL, "mine")]


async def test_who_is_cancelled_while_the_pool_is_full_waited_and_never_ran(clock: Clock) -> None:
    limiter = anyio.CapacityLimiter(1)
    await limiter.acquire_on_behalf_of(limiter)
    calls = ThreadCalls("mine", limiter)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(calls.run, len, "abc")
        await anyio.wait_all_tasks_blocked()
        clock.advance(3)
        tasks.cancel_scope.cancel()
    assert (calls.wait_ns, calls.run_ns) == (3_000_000_000, 0)


async def test_a_full_pool_does_not_keep_a_generator_from_being_closed() -> None:
    limiter = anyio.CapacityLimiter(1)
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    async with no_task_left(), buffer(endless(), 2, limiter=limiter) as stream:
        assert await anext(stream) == 0
        await anyio.wait_all_tasks_blocked()
        while limiter.borrowed_tokens:
            await anyio.lowlevel.checkpoint()
        await limiter.acquire_on_behalf_of(limiter)
    assert closed == [True]


async def test_an_error_in_the_thread_comes_out_of_the_stream() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise LookupError

    async with buffer(breaking(), 2) as stream:
        assert await anext(stream) == 1
        with pytest.raises(LookupError):
            await anext(stream)

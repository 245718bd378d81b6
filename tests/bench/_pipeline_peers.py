"""The same pipelines as people write them, and the mishaps each of them is put through.

A peer gives `fan_out(source, n)`, an async context manager of `n` streams with a small bound each: for
one stream that is a buffer, for more a tee. Time is counted in turns of the loop, so a hang costs none.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from firsttoken.pipeline import tee

SIZE = 4
TURNS = 2000
END = object()

FanOut = Callable[[AsyncIterator[int], int], AbstractAsyncContextManager[Sequence[AsyncIterator[int]]]]


async def _from_queue(queue: asyncio.Queue[Any]) -> AsyncIterator[int]:
    while (item := await queue.get()) is not END:
        yield item


@asynccontextmanager
async def plain_queue(source: AsyncIterator[int], n: int) -> AsyncIterator[list[AsyncIterator[int]]]:
    """A task that puts, a sentinel at the end: how it is usually written."""
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(SIZE) for _ in range(n)]

    async def produce() -> None:
        async for item in source:
            for queue in queues:
                await queue.put(item)
        for queue in queues:
            await queue.put(END)

    task = asyncio.create_task(produce())
    yield [_from_queue(queue) for queue in queues]
    await task


@asynccontextmanager
async def careful_queue(source: AsyncIterator[int], n: int) -> AsyncIterator[list[AsyncIterator[int]]]:
    """The same by somebody who was bitten: the sentinel in `finally`, the task cancelled at the end."""
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(SIZE) for _ in range(n)]

    async def produce() -> None:
        try:
            async for item in source:
                for queue in queues:
                    await queue.put(item)
        finally:
            for queue in queues:
                await queue.put(END)

    task = asyncio.create_task(produce())
    try:
        yield [_from_queue(queue) for queue in queues]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LookupError):
            await task


@asynccontextmanager
async def with_aiostream(source: AsyncIterator[int], n: int) -> AsyncIterator[list[AsyncIterator[int]]]:
    """aiostream has no buffer and no tee: its stream stands for one reader, and cannot be shared."""
    from aiostream import stream

    async with stream.iterate(source).stream() as streamer:
        yield [streamer] * n


PEERS: dict[str, FanOut] = {
    "firsttoken": lambda source, n: tee(source, n, size=SIZE),
    "asyncio.Queue": plain_queue,
    "asyncio.Queue, careful": careful_queue,
}
if importlib.util.find_spec("aiostream") is not None:
    PEERS["aiostream"] = with_aiostream


class Source:
    """Numbers, and then what is asked for."""

    def __init__(self, count: int, then: str = "end") -> None:
        self.count = count
        self.then = then
        self.closed = False

    async def stream(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                yield number
            if self.then == "raise":
                raise LookupError
            if self.then == "hang":
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def _ends(task: asyncio.Task[Any]) -> bool:
    """Let the loop turn until `task` is done; give it up after many turns."""
    for _ in range(TURNS):
        if task.done():
            return True
        await asyncio.sleep(0)
    return False


async def _read(stream: AsyncIterator[int], seen: list[Any], pause: int = 0) -> None:
    try:
        async for item in stream:
            seen.append(item)
            for _ in range(pause):
                await asyncio.sleep(0)
    except LookupError:
        seen.append("error")


async def producer_raises(fan_out: FanOut) -> str:
    source, seen = Source(3, "raise"), []

    async def use() -> None:
        with suppress(LookupError):
            async with fan_out(source.stream(), 1) as (stream,):
                await _read(stream, seen)

    if not await _ends(asyncio.create_task(use())):
        return "hangs"
    return "ok" if seen == [0, 1, 2, "error"] else "error lost"


async def consumer_leaves(fan_out: FanOut) -> str:
    source = Source(1000, "hang")

    async def use() -> None:
        async with fan_out(source.stream(), 1) as (stream,):
            async for _ in stream:
                break

    if not await _ends(asyncio.create_task(use())):
        return "hangs"
    return "ok" if source.closed else "source left open"


async def consumer_is_cancelled(fan_out: FanOut) -> str:
    source = Source(3, "hang")

    async def use() -> None:
        async with fan_out(source.stream(), 1) as (stream,):
            async for _ in stream:
                pass

    task = asyncio.create_task(use())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    if not await _ends(task):
        return "hangs"
    await asyncio.sleep(0)
    return "ok" if source.closed else "source left open"


async def pull_times_out(fan_out: FanOut) -> str:
    go_on = asyncio.Event()

    async def pausing() -> AsyncIterator[int]:
        yield 0
        await go_on.wait()
        yield 1
        yield 2

    seen: list[int] = []

    async def use() -> None:
        async with fan_out(pausing(), 1) as (stream,):
            iterator = stream if hasattr(stream, "__anext__") else aiter(stream)
            seen.append(await anext(iterator))
            pull = asyncio.ensure_future(anext(iterator))
            for _ in range(10):
                await asyncio.sleep(0)
            pull.cancel()
            with suppress(asyncio.CancelledError):
                await pull
            go_on.set()
            with suppress(StopAsyncIteration):
                while True:
                    seen.append(await anext(iterator))

    if not await _ends(asyncio.create_task(use())):
        return "hangs"
    return "ok" if seen == [0, 1, 2] else "items lost"


async def readers_at_different_speeds(fan_out: FanOut) -> str:
    source, seen = Source(50), [[], [], []]

    async def use() -> None:
        async with fan_out(source.stream(), 3) as streams:
            await asyncio.gather(
                *(
                    _read(stream, items, pause)
                    for stream, items, pause in zip(streams, seen, (0, 1, 5), strict=True)
                )
            )

    task = asyncio.create_task(use())
    if not await _ends(task):
        return "hangs"
    if task.exception() is not None:
        return "raises"
    return "ok" if seen == [list(range(50))] * 3 else "items lost"


async def one_reader_of_two_leaves(fan_out: FanOut) -> str:
    source, seen = Source(50), []

    async def leave(stream: AsyncIterator[int]) -> None:
        async for _ in stream:
            break

    async def use() -> None:
        async with fan_out(source.stream(), 2) as (one, other):
            await asyncio.gather(leave(one), _read(other, seen))

    task = asyncio.create_task(use())
    if not await _ends(task):
        return "hangs"
    if task.exception() is not None:
        return "raises"
    return "ok" if seen == list(range(50)) else "items lost"


SCENARIOS: dict[str, Callable[[FanOut], Awaitable[str]]] = {
    "the producer raises": producer_raises,
    "the consumer leaves": consumer_leaves,
    "the consumer is cancelled": consumer_is_cancelled,
    "a pull times out": pull_times_out,
    "3 readers at different speeds": readers_at_different_speeds,
    "1 of 2 readers leaves": one_reader_of_two_leaves,
}


async def correctness(peer: str, scenario: str) -> str:
    """Return `ok` or what went wrong, in two or three words."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    before = asyncio.all_tasks()
    verdict = await SCENARIOS[scenario](PEERS[peer])
    for _ in range(10):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    # More than once: one that hangs may hang again where it cleans up.
    for _ in range(10):
        for task in left:
            task.cancel()
        await asyncio.sleep(0)
    return "task left behind" if verdict == "ok" and left else verdict

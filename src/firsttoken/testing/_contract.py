"""Scripted streams, and the contract every stream wrapper keeps. Floor 5 (plug; anyio).

`check_stream_wrapper` is what our own wrappers, operators and adapters are held to; hold yours to it too.
It runs on whichever event loop it is awaited on, asyncio or trio, and takes no real time.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel


class SourceError(Exception):
    """Raised by a `ScriptedSource` that is told to break."""


class ConsumerError(Exception):
    """Raised in the consumer's body by the exits that leave that way."""


@dataclass
class ScriptedSource:
    """A stream that does what it is told, and remembers what was done to it.

    chunks: yielded first, in order.
    then: what happens after them: `end`, `raise`, or `hang` until it is cancelled or closed.
    pace: awaited before each chunk, with its index; for streams that take time.
    """

    chunks: Sequence[Any] = ("a", "b", "c")
    then: str = "end"
    pace: Callable[[int], Awaitable[None]] | None = None
    started: bool = False
    closed: bool = False
    hanging: anyio.Event = field(default_factory=anyio.Event)

    async def as_async_generator(self) -> AsyncGenerator[Any, None]:
        """Yield the script from an async generator."""
        self.started = True
        try:
            for index, chunk in enumerate(self.chunks):
                if self.pace is not None:
                    await self.pace(index)
                yield chunk
            await self._finish()
        finally:
            self.closed = True

    def as_generator(self) -> Generator[Any, None, None]:
        """Yield the script from a generator; one that hangs would hang the thread, so it ends."""
        self.started = True
        try:
            yield from self.chunks
            if self.then == "raise":
                raise SourceError("as told")
        finally:
            self.closed = True

    def as_async_iterator(self) -> AsyncIterator[Any]:
        """Return an object of a class of its own that yields the script and has `aclose`."""
        return _Iterator(self)

    async def _finish(self) -> None:
        if self.then == "raise":
            raise SourceError("as told")
        if self.then == "hang":
            self.hanging.set()
            await anyio.sleep_forever()


class _Iterator:
    def __init__(self, source: ScriptedSource) -> None:
        self._source = source
        self._index = 0

    def __aiter__(self) -> _Iterator:
        return self

    async def __anext__(self) -> Any:
        source, index = self._source, self._index
        source.started = True
        self._index += 1
        if index < len(source.chunks):
            if source.pace is not None:
                await source.pace(index)
            return source.chunks[index]
        await source._finish()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Note that somebody closed it."""
        self._source.closed = True


@dataclass(frozen=True)
class Exit:
    """One way to leave a stream.

    name: what happens.
    leave: does it, given the wrapped stream and its source.
    then: what the source does after its chunks.
    outcome: what a tracing wrapper should call it; None if there is nothing to tell.
    needs_async: makes no sense for a source that never waits.
    closes: the source must be closed afterwards.
    """

    name: str
    leave: Callable[[Any, ScriptedSource], Awaitable[None]]
    then: str = "end"
    outcome: str | None = "completed"
    needs_async: bool = False
    closes: bool = True


async def _exhaust(stream: Any, source: ScriptedSource) -> None:
    seen = [chunk async for chunk in stream] if hasattr(stream, "__aiter__") else list(stream)
    same = len(seen) == len(source.chunks) and all(map(lambda a, b: a is b, seen, source.chunks))
    assert same, f"not the same objects in the same order: {seen!r}"


async def _break(stream: Any, source: ScriptedSource) -> None:
    if hasattr(stream, "__aiter__"):
        async for _ in stream:
            break
    else:
        for _ in stream:
            break


async def _close(stream: Any, source: ScriptedSource) -> None:
    await _first(stream)
    await _shut(stream)


async def _close_twice(stream: Any, source: ScriptedSource) -> None:
    await _first(stream)
    await _shut(stream)
    await _shut(stream)


async def _raise_in_body(stream: Any, source: ScriptedSource) -> None:
    try:
        if hasattr(stream, "__aiter__"):
            async for _ in stream:
                raise ConsumerError
        else:
            for _ in stream:
                raise ConsumerError
    except ConsumerError:
        return
    raise AssertionError("the consumer's own error did not reach it")


async def _source_raises(stream: Any, source: ScriptedSource) -> None:
    seen = []
    try:
        if hasattr(stream, "__aiter__"):
            async for chunk in stream:
                seen.append(chunk)
        else:
            for chunk in stream:
                seen.append(chunk)
    except SourceError:
        assert len(seen) == len(source.chunks)
        return
    raise AssertionError("the source's error did not reach the consumer")


async def _cancel_while_waiting(stream: Any, source: ScriptedSource) -> None:
    async def consume() -> None:
        async for _ in stream:
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await source.hanging.wait()
        tasks.cancel_scope.cancel()


async def _cancel_while_holding(stream: Any, source: ScriptedSource) -> None:
    holding = anyio.Event()
    held = [stream]
    del stream

    async def consume() -> None:
        mine = held.pop()
        if hasattr(mine, "__aiter__"):
            iterator = mine.__aiter__()
            del mine
            async for _ in iterator:
                del iterator
                holding.set()
                await anyio.sleep_forever()
        else:
            for _ in mine:
                del mine
                holding.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await holding.wait()
        tasks.cancel_scope.cancel()


async def _time_out(stream: Any, source: ScriptedSource) -> None:
    with anyio.CancelScope() as scope:
        async for _ in stream:
            if _ is source.chunks[-1]:
                scope.deadline = anyio.current_time()
    assert scope.cancelled_caught


async def _drop(stream: Any, source: ScriptedSource) -> None:
    await _first(stream)


async def _never(stream: Any, source: ScriptedSource) -> None:
    assert not source.started


async def _first(stream: Any) -> Any:
    return await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(iter(stream))


async def _shut(stream: Any) -> None:
    closed = stream.aclose() if hasattr(stream, "aclose") else stream.close()
    if inspect.isawaitable(closed):
        await closed


EXITS: tuple[Exit, ...] = (
    Exit("exhausted", _exhaust, closes=False),
    Exit("broken off", _break, outcome="abandoned"),
    Exit("closed", _close, outcome="abandoned"),
    Exit("closed twice", _close_twice, outcome="abandoned"),
    Exit("left by an exception in the consumer's body", _raise_in_body, outcome="abandoned"),
    Exit("ended by an exception in the source", _source_raises, then="raise", outcome="failed"),
    Exit("cancelled while it waits", _cancel_while_waiting, "hang", "cancelled", needs_async=True),
    Exit("cancelled while the consumer holds", _cancel_while_holding, outcome="cancelled"),
    Exit("timed out", _time_out, "hang", "cancelled", needs_async=True),
    Exit("dropped without a close", _drop, outcome="abandoned"),
    Exit("never iterated", _never, outcome=None, closes=False),
)

SOURCES: dict[str, Callable[[ScriptedSource], Any]] = {
    "async generator": ScriptedSource.as_async_generator,
    "async iterator": ScriptedSource.as_async_iterator,
    "generator": ScriptedSource.as_generator,
}


async def check_exit(wrap: Callable[[Any], Any], kind: str, leaving: Exit) -> None:
    """Leave a wrapped stream one way and check what became of its source.

    wrap: what is checked: takes a source, returns the wrapped stream.
    kind: a key of `SOURCES`.

    Raises: AssertionError: if the wrapper changed the chunks, lost an error, or left the source open.
    """
    source = ScriptedSource(then=leaving.then)
    await leaving.leave(wrap(SOURCES[kind](source)), source)
    await settle()
    if leaving.closes:
        assert source.closed, f"the {kind} was left open when the stream was {leaving.name}"


async def check_stream_wrapper(wrap: Callable[[Any], Any]) -> None:
    """Hold a stream wrapper to the contract: every source, every exit.

    wrap: takes a source (async generator, async iterator, generator) and returns the wrapped stream.

    Raises: AssertionError: if the wrapper breaks it; the message names the source and the exit.
    """
    for kind in SOURCES:
        for leaving in EXITS:
            if kind == "generator" and leaving.needs_async:
                continue
            try:
                await check_exit(wrap, kind, leaving)
            except AssertionError as error:
                raise AssertionError(f"{kind}, {leaving.name}: {error}") from error


async def settle() -> None:
    """Let dropped generators be collected and closed, and every other task run until it waits."""
    for _ in range(3):
        gc.collect()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()

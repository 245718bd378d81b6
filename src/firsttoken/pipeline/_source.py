"""What an operator pulls from: any kind of stream, opened, pulled, closed in one task. Floor 4 (wrap)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import anyio

from firsttoken.pipeline._threads import ThreadCalls, call_apart

Take = Callable[[Any], Awaitable[bool]]

_END: Final = object()


class EnteredFirst:
    """A stream that is better entered with `async with` than iterated as it is."""


class Source:
    """One stream, on its way into an operator.

    stream: an async iterable; a sync one, which is iterated in worker threads unless it is a sequence in
        memory; an awaitable of one; or an async context manager of one, another operator for instance.
    name: for telling.
    limiter: whose worker threads a sync iterable takes.

    Raises: TypeError: if `stream` is nothing of these.
    """

    def __init__(self, stream: Any, name: str = "", limiter: anyio.CapacityLimiter | None = None) -> None:
        if not (hasattr(stream, "__aiter__") or is_pending(stream) or _is_iterable(stream)):
            raise TypeError(
                "a source is an async iterable, an iterable (but no str, bytes or dict), an awaitable of "
                f"one, or an async context manager of one; not {type(stream).__qualname__}"
            )
        self.name = name
        self.calls = ThreadCalls(name, limiter)
        self._stream = stream
        self._stopped = False
        #: What to cancel if nobody wants more now; None while an item is handed over or all is closed.
        self._scope: anyio.CancelScope | None = None

    async def drain(self, take: Take) -> bool:
        """Give each item to `take` until it returns False, and close; return whether it was the end."""
        with anyio.CancelScope() as self._scope:
            if self._stopped:
                await self.discard()
                return False
            return await self._drain(self._stream, take)
        return False

    def stop(self) -> None:
        """Let `drain` return soon: now, if it waits for the source; else after the item it has at hand."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def discard(self) -> None:
        """Close the source without having pulled it."""
        if inspect.iscoroutine(self._stream):
            self._stream.close()
        elif hasattr(self._stream, "__aiter__"):
            await close_streams(self._stream)

    async def _drain(self, stream: Any, take: Take) -> bool:
        if hasattr(stream, "__aiter__") and not isinstance(stream, EnteredFirst):
            return await self._drain_async(stream, take)
        if inspect.isawaitable(stream):
            return await self._drain(await stream, take)
        if hasattr(stream, "__aenter__"):
            async with stream as entered:
                if entered is stream:
                    return await self._drain_async(stream, take)
                return await self._drain(entered, take)
        self._scope = None
        if isinstance(stream, Sequence):
            return await _drain_sequence(stream, take)
        return await self._drain_in_threads(stream, take)

    async def _drain_async(self, stream: Any, take: Take) -> bool:
        iterator = aiter(stream)
        exhausted = wanted = False
        try:
            # Cancelled only in the source, which then unwinds by itself; what is closed, is closed outside.
            with anyio.CancelScope() as pulling:
                self._scope = pulling
                async for item in iterator:
                    self._scope = None
                    try:
                        wanted = await take(item)
                    finally:
                        if not wanted:
                            # In here: a generator may hold scopes open, which have to end before ours.
                            await close_streams(iterator)
                    if not wanted:
                        break
                    wanted, self._scope = False, pulling
                else:
                    exhausted = True
        except BaseException as error:
            self._scope = None
            # Where an error is on its way already, that one wins.
            with suppress(*((Exception,) if isinstance(error, Exception) else ())):
                await close_streams(iterator, stream)
            raise
        self._scope = None
        await close_streams(iterator, stream)
        return exhausted

    async def _drain_in_threads(self, stream: Any, take: Take) -> bool:
        iterator = iter(stream)
        try:
            while (item := await self._next(iterator)) is not _END:
                if not await take(item):
                    return False
            return not self._stopped
        finally:
            # Other iterators (a file is its own) outlive a `break`, as they always did.
            if inspect.isgenerator(iterator):
                with anyio.CancelScope(shield=True):
                    await call_apart(iterator.close)

    async def _next(self, iterator: Iterator[Any]) -> Any:
        # Waiting for a thread can be cancelled; running in one cannot.
        with anyio.CancelScope() as self._scope:
            if self._stopped:
                return _END
            return await self.calls.run(next, iterator, _END)
        return _END


async def _drain_sequence(stream: Sequence[Any], take: Take) -> bool:
    for item in stream:
        if not await take(item):
            return False
    return True


async def close_streams(*streams: Any) -> None:
    """Close each stream that can be closed, in order, whatever one of them raises; again is no harm."""
    if not streams:
        return
    stream, *others = streams
    try:
        close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
        if close is not None and (hasattr(stream, "aclose") or inspect.iscoroutinefunction(close)):
            await close()
    finally:
        await close_streams(*others)


def is_cancellation(error: BaseException | None) -> bool:
    """Whether `error` is what asyncio or trio throw into a task that is cancelled."""
    leaves = Exception | GeneratorExit | KeyboardInterrupt | SystemExit
    return error is not None and not isinstance(error, leaves)


def is_pending(stream: Any) -> bool:
    """Whether `stream` is to become a stream: by `await`, or by `async with`."""
    if hasattr(stream, "__aiter__"):
        return isinstance(stream, EnteredFirst)
    return inspect.isawaitable(stream) or hasattr(stream, "__aenter__")


def _is_iterable(stream: Any) -> bool:
    return hasattr(stream, "__iter__") and not isinstance(stream, str | bytes | bytearray | dict)

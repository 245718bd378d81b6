"""What is not a stream yet: an awaitable, or a context manager, of one. Floor 4 (wrap); the user's thread.

Waiting for the response is part of the stream: its time counts, spans made meanwhile are children of the
stream's span, and a failure is the stream's.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from firsttoken._guard import guarded
from firsttoken._record.iterate import record_async, record_sync
from firsttoken._wrap.asked import asked_of
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.proxy import (
    AsyncTracedGenerator,
    AsyncTracedStream,
    StartSpan,
    SyncTracedGenerator,
    SyncTracedStream,
    TracedStream,
)
from firsttoken._wrap.sdk import holds_response, traced_response


class PendingStream(TracedStream):
    """Something that is to become a stream: an awaitable, or a context manager, of one.

    It can be awaited or entered as before, or iterated as it is: then the first pull opens it.
    """

    def _self_traced(self, source: Any) -> Any:
        """Return the proxy for what this one opened: same record, same span."""
        with guarded("learn from a response"):
            self._self_live.learn(asked_of(source))
        try:
            return traced_source(source, self._self_live, self._self_start_span)
        except TypeError:
            # The answer is there, but it is no stream: one chunk, and handed over as it is.
            record = self._self_live.record
            record.arrived(source)
            record.end(None)
            return source

    @contextmanager
    def _self_opening(self) -> Iterator[None]:
        """Count the block as part of the request, its time included: before it there was no response."""
        with self._self_live.record.opening():
            yield
        self._self_live.record.ready()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_awaited().__await__()

    async def _self_awaited(self) -> Any:
        with self._self_opening():
            source = await self.__wrapped__
        return self._self_traced(source)

    async def __aenter__(self) -> Any:
        with self._self_opening():
            source = await self.__wrapped__.__aenter__()
        return self._self_traced(source)

    async def __aexit__(self, *failure: Any) -> Any:
        self._self_live.record.end(GeneratorExit())
        return await self.__wrapped__.__aexit__(*failure)

    def __enter__(self) -> Any:
        with self._self_opening():
            source = self.__wrapped__.__enter__()
        return self._self_traced(source)

    def __exit__(self, *failure: Any) -> Any:
        self._self_live.record.end(GeneratorExit())
        return self.__wrapped__.__exit__(*failure)

    def __aiter__(self) -> AsyncIterator[Any]:
        generator = record_async(self._self_live.record, open_async(self.__wrapped__))
        self._self_live.record.end_when_dropped(generator)
        return generator

    def __iter__(self) -> Iterator[Any]:
        generator = record_sync(self._self_live.record, open_sync(self.__wrapped__))
        self._self_live.record.end_when_dropped(generator)
        return generator


class PendingCoroutine(PendingStream):
    """A coroutine that is to become a stream: to asyncio it is still one, so a task can be made of it."""

    _self_coroutine: Any = None

    def _self_driven(self) -> Any:
        if self._self_coroutine is None:
            self._self_coroutine = self._self_awaited()
        return self._self_coroutine

    def send(self, value: Any) -> Any:
        """Go on with the coroutine; called by event loops."""
        return self._self_driven().send(value)

    def throw(self, *failure: Any) -> Any:
        """Raise in the coroutine; called by event loops."""
        return self._self_driven().throw(*failure)

    def close(self) -> None:
        """Give the coroutine up."""
        if self._self_coroutine is None:
            self.__wrapped__.close()
        else:
            self._self_coroutine.close()


class AwaitableStream(AsyncTracedStream):
    """An async iterable that may also be awaited first."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_awaited().__await__()

    async def _self_awaited(self) -> Any:
        with self._self_live.record.opening():
            source = await self.__wrapped__
        return (
            self
            if source is self.__wrapped__
            else type(self)(source, self._self_live, self._self_start_span)
        )


class TwoWayStream(AsyncTracedStream):
    """An iterable of both kinds, such as a body of bytes: whoever iterates decides."""

    def __iter__(self) -> Iterator[Any]:
        generator = record_sync(self._self_live.record, self.__wrapped__)
        self._self_live.record.end_when_dropped(generator)
        return generator


async def open_async(source: Any) -> AsyncGenerator[Any, None]:
    """Await or enter `source` at the first pull, then yield what it holds; close what was iterated."""
    if inspect.isawaitable(source):
        source = await source
    if _has(source, "__aiter__"):
        iterator = aiter(source)
        try:
            async for chunk in iterator:
                yield chunk
        finally:
            if _has(iterator, "aclose"):
                await iterator.aclose()
    elif _has(source, "__aenter__"):
        async with source as entered:
            async for chunk in open_async(entered):
                yield chunk
    else:
        for chunk in open_sync(source):
            yield chunk


def open_sync(source: Any) -> Generator[Any, None, None]:
    """Enter `source` at the first pull, if it is to be entered, then yield what it holds."""
    if _has(source, "__iter__"):
        yield from source
        return
    with source as entered:
        yield from entered


def traced_source(source: Any, live: LiveStream, start_span: StartSpan) -> Any:
    """Return the proxy that fits `source`.

    Raises: TypeError: if it is nothing that can become a stream.
    """
    for fits, proxy in _PROXIES:
        if fits(source):
            return proxy(source, live, start_span)
    raise TypeError(
        "a stream is an async iterable or iterator, an iterable or iterator (but no str, bytes or dict), "
        f"an awaitable of one, or a context manager of one; not {type(source).__qualname__}"
    )


def _is_iterable(source: Any) -> bool:
    # A pydantic object iterates its fields: an SDK's answer to a call that asked for no stream.
    is_answer = hasattr(type(source), "model_fields")
    return (
        _has(source, "__iter__")
        and not is_answer
        and not isinstance(source, str | bytes | bytearray | dict)
    )


def _has(source: Any, *methods: str) -> bool:
    try:
        return all(hasattr(source, method) for method in methods)
    except Exception:  # attributes of other people's objects may do anything
        return False


def _is_entered(source: Any) -> bool:
    return _has(source, "__aenter__") or _has(source, "__enter__")


_PROXIES: tuple[tuple[Callable[[Any], bool], Callable[[Any, LiveStream, StartSpan], TracedStream]], ...] = (
    (holds_response, traced_response),
    (inspect.isasyncgen, AsyncTracedGenerator),
    (inspect.isgenerator, SyncTracedGenerator),
    (lambda source: _has(source, "__aiter__", "__await__"), AwaitableStream),
    (lambda source: _has(source, "__aiter__", "__iter__"), TwoWayStream),
    (lambda source: _has(source, "__aiter__"), AsyncTracedStream),
    (inspect.iscoroutine, PendingCoroutine),
    # Before the iterables: futures and tasks have an `__iter__`, from the days of `yield from`.
    (inspect.isawaitable, PendingStream),
    (_is_iterable, SyncTracedStream),
    (_is_entered, PendingStream),
)

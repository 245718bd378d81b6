"""The generators between a source and its consumer. Floor 1 (record); the user's own thread.

This is the only code that runs once per chunk on the event loop. It may append to a list, read the
clock and set a context variable, and nothing else: no call that can block, no object per chunk, no
decision that could be made once per stream.

What it promises, besides the marks: the same objects in the same order; the stream's context is current
while the source is pulled and never across a `yield`; whatever the source left current is current again
at its next pull; the source is closed when the iteration ends early. An error, or a cancelled pull, ends a
source that is a generator. Any other may go on: it is open until it is dropped, and may be recorded again.

Cost: `tests/bench/bench_record.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Generator, Iterable, Iterator
from contextlib import suppress
from contextvars import Token
from inspect import isasyncgen, isgenerator
from typing import Any

from firsttoken._clock import monotonic_ns
from firsttoken._record.record import Detail, Ending, StreamRecord, restore


async def record_async(record: StreamRecord, source: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    """Yield every chunk of `source`, marking each in `record`."""
    record.begin_pulling()
    mark = record.marks.append
    variable = record.context_var
    enter, current, leave = variable.set, variable.get, variable.reset
    token: Token[Any] | None = None
    iterator = None
    try:
        if record.detail is Detail.FULL:
            token = enter(record.context)
            iterator = aiter(source)
            async for chunk in iterator:
                record.context = current()
                leave(token)
                token = None
                mark(monotonic_ns())
                mark(chunk)
                yield chunk
                mark(monotonic_ns())
                token = enter(record.context)
        elif record.detail is Detail.ARRIVALS:
            iterator = aiter(source)
            async for chunk in iterator:
                mark(monotonic_ns())
                mark(chunk)
                yield chunk
        else:
            iterator = aiter(source)
            async for chunk in iterator:
                yield chunk
    except BaseException as error:
        if isinstance(source, Iterated) and source.goes_on and not isinstance(error, GeneratorExit):
            record.interrupted(error)
            source.close_when_dropped()
            raise
        record.end(error)
        if token is None and record.context is not None:
            token = enter(record.context)
        await _close_async(iterator, error)
        raise
    else:
        record.end(None)
    finally:
        if token is not None:
            restore(variable, token)


def record_sync(record: StreamRecord, source: Iterable[Any]) -> Generator[Any, None, Any]:
    """Yield every chunk of `source`, marking each in `record`; return what a generator returns."""
    returned: list[Any] = []
    if isgenerator(source):
        source = _keeping_return(source, returned)
    record.begin_pulling()
    mark = record.marks.append
    variable = record.context_var
    enter, current, leave = variable.set, variable.get, variable.reset
    token: Token[Any] | None = None
    iterator = None
    try:
        if record.detail is Detail.FULL:
            token = enter(record.context)
            iterator = iter(source)
            for chunk in iterator:
                record.context = current()
                leave(token)
                token = None
                mark(monotonic_ns())
                mark(chunk)
                yield chunk
                mark(monotonic_ns())
                token = enter(record.context)
        elif record.detail is Detail.ARRIVALS:
            iterator = iter(source)
            for chunk in iterator:
                mark(monotonic_ns())
                mark(chunk)
                yield chunk
        else:
            iterator = iter(source)
            for chunk in iterator:
                yield chunk
    except BaseException as error:
        record.end(error)
        if token is None and record.context is not None:
            token = enter(record.context)
        _close_sync(iterator, error)
        raise
    else:
        record.end(None)
    finally:
        if token is not None:
            restore(variable, token)
    return returned[0] if returned else None


class Iterated:
    """A source whose iterator is made once, at the first pull, and may outlive what records it."""

    __slots__ = ("_closing", "_to_close", "iterator", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        self.iterator: Any = None
        self._to_close: list[Any] = []
        self._closing: AsyncGenerator[None, None] | None = None

    def __aiter__(self) -> Any:
        if self.iterator is None:
            self.iterator = aiter(self.source)
        return self.iterator

    def __iter__(self) -> Any:
        if self.iterator is None:
            self.iterator = iter(self.source)
        return self.iterator

    def outlives(self, record: StreamRecord) -> bool:
        """Whether there may be more to come that `record`, which ended by an error, will not tell."""
        return record.ending in (Ending.RAISED, Ending.CANCELLED) and self.goes_on

    @property
    def goes_on(self) -> bool:
        """Whether there may be more to come after an error or a cancelled pull: no generator has more."""
        iterator = self.iterator
        return not (iterator is None or isasyncgen(iterator) or isgenerator(iterator))

    def close_when_dropped(self) -> None:
        """Have the iterator closed as a generator would be once nobody refers to it: by the event loop."""
        if _closing_of(self.iterator) is not None:
            self._to_close.append(self.iterator)
            self._closing = _close_in_the_end(self._to_close)
            with suppress(StopIteration):
                self._closing.asend(None).send(None)

    def keep_open(self) -> None:
        """Leave it to others to close the iterator."""
        self._to_close.clear()
        closing, self._closing = self._closing, None
        if closing is not None:
            # It has nothing to wait for any more. Dropped instead, trio would warn of it.
            with suppress(StopIteration):
                closing.aclose().send(None)


class AsyncIteration:
    """Iterates a source that may go on after an error or a cancelled pull, which no generator can.

    After a cancelled pull it is recorded on; an error is the end of the record.

    Cost: 0.1 µs per chunk more than the recording generator by itself.
    """

    __slots__ = ("__weakref__", "_generator", "_iterated", "_record")

    def __init__(self, record: StreamRecord, source: AsyncIterable[Any]) -> None:
        self._record = record
        self._iterated = Iterated(source)
        self._generator = record_async(record, self._iterated)

    def __aiter__(self) -> AsyncIteration:
        return self

    def __anext__(self) -> Awaitable[Any]:
        record = self._record
        if record.ending is None and record.cancelled_ns is None:
            return self._generator.__anext__()
        return self._pull_again()

    def _pull_again(self) -> Awaitable[Any]:
        record, iterated = self._record, self._iterated
        if iterated.outlives(record):
            pull: Awaitable[Any] = iterated.iterator.__anext__()
            return pull
        if record.ending is None:
            iterated.keep_open()
            self._generator = record_async(record, iterated)
        return self._generator.__anext__()

    @property
    def ag_running(self) -> bool:
        """Whether somebody is pulling, under the name that generators have for it."""
        running: bool = self._generator.ag_running  # type: ignore[attr-defined]  # missing in typeshed's ABC
        return running

    async def aclose(self) -> None:
        """Close what is iterated."""
        if self._record.cancelled_ns is None:
            await self._generator.aclose()
        else:
            closed = GeneratorExit()
            self._record.end(closed)
            self._iterated.keep_open()
            await _close_async(self._iterated.iterator, closed)


def and_what_follows(
    generator: Iterator[Any], record: StreamRecord, iterated: Iterated
) -> Iterator[Iterator[Any]]:
    """Yield the recording generator and, if an error ended it, the iterator that goes on."""
    yield generator
    if iterated.outlives(record):
        yield iterated.iterator


async def _close_in_the_end(iterators: list[Any]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for iterator in iterators:
            await _close_async(iterator, GeneratorExit())


def _keeping_return(source: Any, returned: list[Any]) -> Generator[Any, None, None]:
    # A `for` loop throws away what a generator returns, and it is faster than calling `next`.
    returned.append((yield from source))


async def _close_async(iterator: Any, error: BaseException) -> None:
    """Close what was iterated; where an error is on its way already, that one wins."""
    close = _closing_of(iterator)
    if close is None:
        return
    try:
        await close()
    except Exception:
        if isinstance(error, GeneratorExit):
            raise


def _closing_of(iterator: Any) -> Any:
    try:
        return getattr(iterator, "aclose", None)
    except Exception:  # attributes of other people's objects may do anything
        return None


def _close_sync(iterator: Any, error: BaseException) -> None:
    """Close a generator; other iterators (a file is its own) outlive a `break`, as they always did."""
    if isgenerator(iterator) and isinstance(error, GeneratorExit):
        iterator.close()

"""The generators between a source and its consumer. Floor 1 (record); the user's own thread.

This is the only code that runs once per chunk on the event loop. It may append to a list, read the
clock and set a context variable, and nothing else: no call that can block, no object per chunk, no
decision that could be made once per stream.

What it promises, besides the marks: the same objects in the same order; the stream's context is current
while the source is pulled and never across a `yield`; whatever the source left current is current again
at its next pull; the source is closed when the iteration ends early.

Cost: `tests/bench/bench_record.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from contextvars import Token
from inspect import isgenerator
from typing import Any

from firsttoken._clock import monotonic_ns
from firsttoken._record.record import Detail, StreamRecord, restore


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


def _keeping_return(source: Any, returned: list[Any]) -> Generator[Any, None, None]:
    # A `for` loop throws away what a generator returns, and it is faster than calling `next`.
    returned.append((yield from source))


async def _close_async(iterator: Any, error: BaseException) -> None:
    """Close what was iterated; where an error is on its way already, that one wins."""
    try:
        close = getattr(iterator, "aclose", None)
    except Exception:  # attributes of other people's objects may do anything
        return
    if close is None:
        return
    try:
        await close()
    except Exception:
        if isinstance(error, GeneratorExit):
            raise


def _close_sync(iterator: Any, error: BaseException) -> None:
    """Close a generator; other iterators (a file is its own) outlive a `break`, as they always did."""
    if isgenerator(iterator) and isinstance(error, GeneratorExit):
        iterator.close()

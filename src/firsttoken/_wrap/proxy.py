"""What `trace_stream` returns: the source to look at, a recording generator to iterate. Floor 4 (wrap).

A proxy has the attributes, the type and the methods of what it stands for. Iterating it hands out the
recording generator itself, so no proxy stands in the way of a chunk - but for sources that may go on after
an error or a cancelled pull, which no generator can.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import format_span_id, format_trace_id

from firsttoken._record.iterate import AsyncIteration, Iterated, and_what_follows, record_async, record_sync
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.methods import through
from firsttoken.summary import StreamSummary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from opentelemetry.trace import Span

    class BaseObjectProxy:
        __wrapped__: Any

        def __init__(self, wrapped: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
else:
    from wrapt import BaseObjectProxy

StartSpan = Callable[[LiveStream], "Span"]


class TracedStream(BaseObjectProxy):
    """What all traced streams have in common.

    wrapped: what the proxy stands for.
    live: the stream's record and telling.
    start_span: starts the span of `live`, for those who ask for its ids before the first pull.
    """

    _self_live: LiveStream
    _self_start_span: StartSpan

    def __init__(self, wrapped: Any, live: LiveStream, start_span: StartSpan) -> None:
        super().__init__(wrapped)
        self._self_live = live
        self._self_start_span = start_span

    @property
    def summary(self) -> StreamSummary | None:
        """The stream told whole, once it ended; None before, or if it is not sampled.

        Asked for at once, it decodes here and now what is not decoded yet: the last 0.1 s of chunks.
        Asked for after a pull that was cancelled, that was the end.
        """
        record = self._self_live.record
        if record.cancelled_ns is not None:
            record.end(GeneratorExit())
        return self._self_live.summary

    @property
    def trace_id(self) -> str | None:
        """The trace id in hexadecimal; None without a tracer provider."""
        context = self._self_start_span(self._self_live).get_span_context()
        return format_trace_id(context.trace_id) if context.is_valid else None

    @property
    def span_id(self) -> str | None:
        """The span id in hexadecimal; None without a tracer provider."""
        context = self._self_start_span(self._self_live).get_span_context()
        return format_span_id(context.span_id) if context.is_valid else None

    def __repr__(self) -> str:
        return f"<traced {self.__wrapped__!r}>"


class AsyncTracedStream(TracedStream):
    """An async iterable of any class. Breaking off and iterating again goes on where it was.

    So does pulling again after an error or a cancelled pull, where the source does: recorded after a
    cancelled pull; after an error not any more, for that was the end of the record.
    """

    def __init__(self, source: Any, live: LiveStream, start_span: StartSpan) -> None:
        makes_generators = inspect.isasyncgenfunction(getattr(type(source), "__aiter__", None))
        generator = (record_async if makes_generators else AsyncIteration)(live.record, source)
        live.record.end_when_dropped(generator)
        super().__init__(source, live, start_span)
        self._self_generator: AsyncGenerator[Any, None] | AsyncIteration = generator

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._self_generator

    def __anext__(self) -> Any:
        return self._self_generator.__anext__()

    async def __aenter__(self) -> Any:
        with self._self_live.record.opening():
            entered = await self.__wrapped__.__aenter__()
        if entered is self.__wrapped__:
            return self
        return type(self)(entered, self._self_live, self._self_start_span)

    async def __aexit__(self, *failure: Any) -> Any:
        try:
            await self._self_close_generator()
        finally:
            swallowed = await self.__wrapped__.__aexit__(*failure)
        return swallowed

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.__wrapped__, name)
        if name in ("aclose", "close") and callable(attribute):
            return self._self_closing(attribute)
        return through(self, name, attribute)

    def _self_closing(self, close: Callable[[], Any]) -> Callable[[], Any]:
        async def close_both() -> Any:
            try:
                await self._self_close_generator()
            finally:
                answer = await close()
            return answer

        return close_both if inspect.iscoroutinefunction(close) else _noting_the_end(self._self_live, close)

    async def _self_close_generator(self) -> None:
        # One that is being pulled by somebody else ends by itself when its source is closed.
        if not self._self_generator.ag_running:  # type: ignore[union-attr]  # missing in typeshed's ABC
            await self._self_generator.aclose()


class AsyncTracedGenerator(TracedStream):
    """An async generator: one to `isinstance` and `inspect`, `asend` and `athrow` included."""

    def __init__(self, source: AsyncGenerator[Any, Any], live: LiveStream, start_span: StartSpan) -> None:
        generator = record_async(live.record, source)
        live.record.end_when_dropped(generator)
        super().__init__(generator, live, start_span)
        self._self_source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        generator: AsyncIterator[Any] = self.__wrapped__
        return generator

    def __anext__(self) -> Any:
        return self.__wrapped__.__anext__()

    async def aclose(self) -> None:
        """Close the source, which may have begun before the recording did."""
        await self.__wrapped__.aclose()
        await self._self_source.aclose()

    async def asend(self, value: Any) -> Any:
        """Send `value` into the source and return the chunk it yields next."""
        if value is None or not self._self_live.record.is_running:
            return await self.__wrapped__.asend(value)
        return await self._self_relay(lambda: self._self_source.asend(value))

    async def athrow(self, *failure: Any) -> Any:
        """Raise in the source, where it waits, and return the chunk it yields next."""
        if not self._self_live.record.is_running:
            return await self.__wrapped__.athrow(*failure)
        return await self._self_relay(lambda: self._self_source.athrow(*failure))

    async def _self_relay(self, pull: Callable[[], Any]) -> Any:
        # The recording generator waits at its `yield` meanwhile and never learns of this chunk.
        record = self._self_live.record
        record.resumed()
        try:
            with record.in_context():
                chunk = await pull()
        except BaseException as error:
            record.end(None if isinstance(error, StopAsyncIteration) else error)
            await self.__wrapped__.aclose()
            raise
        record.arrived(chunk)
        return chunk


class SyncTracedStream(TracedStream):
    """An iterable of any class. Breaking off and iterating again goes on where it was.

    So does pulling again after an error, where the source does; not recorded, for that was the end of the
    record.
    """

    def __init__(self, source: Any, live: LiveStream, start_span: StartSpan) -> None:
        super().__init__(source, live, start_span)
        iterated = Iterated(source)
        generator = record_sync(live.record, iterated)
        live.record.end_when_dropped(generator)
        self._self_generator: Generator[Any, None, None] = generator
        self._self_handed_out: Iterator[Any] = generator
        if not inspect.isgeneratorfunction(getattr(type(source), "__iter__", None)):
            self._self_handed_out = chain.from_iterable(and_what_follows(generator, live.record, iterated))

    def __iter__(self) -> Iterator[Any]:
        return self._self_handed_out

    def __next__(self) -> Any:
        return next(self._self_handed_out)

    def __enter__(self) -> Any:
        with self._self_live.record.opening():
            entered = self.__wrapped__.__enter__()
        if entered is self.__wrapped__:
            return self
        return type(self)(entered, self._self_live, self._self_start_span)

    def __exit__(self, *failure: Any) -> Any:
        try:
            self._self_close_generator()
        finally:
            swallowed = self.__wrapped__.__exit__(*failure)
        return swallowed

    def _self_close_generator(self) -> None:
        # One that another thread is pulling ends by itself when its source is closed.
        try:
            self._self_generator.close()
        except ValueError as error:
            if str(error) != "generator already executing":
                raise
            self._self_live.record.end(GeneratorExit())

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.__wrapped__, name)
        if name == "close" and callable(attribute):
            return _noting_the_end(self._self_live, attribute)
        return through(self, name, attribute)


class SyncTracedGenerator(TracedStream):
    """A generator: one to `isinstance` and `inspect`, `send` and `throw` included."""

    def __init__(self, source: Generator[Any, Any, Any], live: LiveStream, start_span: StartSpan) -> None:
        generator = record_sync(live.record, source)
        live.record.end_when_dropped(generator)
        super().__init__(generator, live, start_span)
        self._self_source = source

    def __iter__(self) -> Iterator[Any]:
        generator: Iterator[Any] = self.__wrapped__
        return generator

    def __next__(self) -> Any:
        return next(self.__wrapped__)

    def close(self) -> Any:
        """Close the source, which may have begun before the recording did."""
        self.__wrapped__.close()
        return self._self_source.close()

    def send(self, value: Any) -> Any:
        """Send `value` into the source and return the chunk it yields next."""
        if value is None or not self._self_live.record.is_running:
            return self.__wrapped__.send(value)
        return self._self_relay(lambda: self._self_source.send(value))

    def throw(self, *failure: Any) -> Any:
        """Raise in the source, where it waits, and return the chunk it yields next."""
        if not self._self_live.record.is_running:
            return self.__wrapped__.throw(*failure)
        return self._self_relay(lambda: self._self_source.throw(*failure))

    def _self_relay(self, pull: Callable[[], Any]) -> Any:
        record = self._self_live.record
        record.resumed()
        try:
            with record.in_context():
                chunk = pull()
        except BaseException as error:
            record.end(None if isinstance(error, StopIteration) else error)
            self.__wrapped__.close()
            raise
        record.arrived(chunk)
        return chunk


def _noting_the_end(live: LiveStream, close: Callable[[], Any]) -> Callable[[], Any]:
    def close_and_note() -> Any:
        live.record.end(GeneratorExit())
        return close()

    return close_and_note

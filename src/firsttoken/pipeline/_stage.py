"""stage: a step of a pipeline, traced, and closed together with what feeds it. Floor 4 (wrap); the loop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, overload

import anyio
import wrapt
from opentelemetry import context as otel_context
from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._wrap.default import default_runtime
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.proxy import AsyncTracedGenerator
from firsttoken._wrap.request import Request
from firsttoken.pipeline._source import EnteredFirst, close_streams, is_pending
from firsttoken.pipeline._threads import ThreadCalls


@overload
def stage(function: Callable[..., Any], /) -> Callable[..., Stage]: ...
@overload
def stage(
    function: None = None,
    /,
    *,
    name: str | None = None,
    limiter: anyio.CapacityLimiter | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Stage]]: ...


def stage(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    limiter: anyio.CapacityLimiter | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Any:
    """Make a function one step of a pipeline: it takes a stream first and gives a traced stream.

        @stage
        async def sentences(tokens): ...

        async with sentences(answer()) as lines:
            async for line in lines:
                ...

    function: an async generator function of a stream; or a function of one item, which is called for each:
        a coroutine function on the loop, a plain one in a worker thread.
    name: of the span; the function's if not given.
    limiter: whose worker threads a plain function takes.
    tracer_provider: the configured or the global one if not given.

    The source is an async iterable, or an awaitable or async context manager of one (an operator), which
    `async with` opens. Leaving the stage closes its generator, then its source, in that order. The time
    a plain function waits for a worker thread is told apart from the time it runs.

    Raises: TypeError: if `function` is none of these, or called with no stream.

    Cost: one traced stream (see `trace_stream`) and one more hop per item.
    """
    if function is None:
        return functools.partial(stage, name=name, limiter=limiter, tracer_provider=tracer_provider)
    if not callable(function) or inspect.isgeneratorfunction(function):
        raise TypeError(
            "stage decorates an async generator function of a stream, or a function of one item (async or "
            f"not, no generator); not {function!r}"
        )
    span_name = name or str(getattr(function, "__name__", "stage"))
    # Checked now, so that a wrong limiter is an error here.
    ThreadCalls(span_name, limiter)

    @wrapt.decorator
    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Stage:
        if not args or not (hasattr(args[0], "__aiter__") or is_pending(args[0])):
            given = type(args[0]).__qualname__ if args else "nothing"
            raise TypeError(
                f"{span_name} takes a stream first: an async iterable, or an awaitable or async context "
                f"manager of one (buffer() makes one of a sync iterable); not {given}"
            )
        runtime = default_runtime()
        live = runtime.open(
            Request(
                operation="stage",
                name=span_name,
                attributes={semconv.PIPELINE_OPERATOR: "stage"},
                parent=otel_context.get_current(),
                tracer_provider=tracer_provider,
            )
        )
        source = Opened(args[0]) if is_pending(args[0]) else args[0]
        call = functools.partial(_with_first, wrapped, args[1:], kwargs)
        if inspect.isasyncgenfunction(function):
            items = call(source)
        elif inspect.iscoroutinefunction(function):
            items = _each(call, source)
        else:
            calls = ThreadCalls(span_name, limiter)
            live.noted = calls.waits
            items = _each(functools.partial(_in_thread, calls, live, call), source)
        return Stage(items, source, live)

    return wrapper(function)


class Stage(EnteredFirst, AsyncTracedGenerator):
    """A traced stream that is closed with its source when its block is left.

    items: what the stage makes, an async generator.
    source: what it makes them from.
    live: the stream's record and telling.
    """

    def __init__(self, items: AsyncGenerator[Any, None], source: Any, live: LiveStream) -> None:
        super().__init__(_closing(items, source), live, default_runtime().start_span)
        self._self_input = source

    async def __aenter__(self) -> Stage:
        if isinstance(self._self_input, Opened):
            await self._self_input.open()
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            # One that is being pulled by another task ends by itself when its source is closed.
            if not self.__wrapped__.ag_running:
                await close_streams(self.__wrapped__)
        finally:
            if isinstance(self._self_input, Opened):
                await self._self_input.exit(kind, error, trace)
            else:
                await close_streams(self._self_input)


class Opened:
    """A source that is there once its stage is entered.

    pending: an awaitable or an async context manager of a stream.
    """

    def __init__(self, pending: Any) -> None:
        self._pending = pending
        self._stream: Any = None
        self._entered = AsyncExitStack()

    async def open(self) -> None:
        """Await and enter what was pending."""
        stream, opened = None, self._pending
        while opened is not stream and is_pending(opened):
            stream = opened
            if inspect.isawaitable(stream):
                opened = await stream
            else:
                opened = await self._entered.enter_async_context(stream)
        self._stream = opened

    async def exit(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Close it, and leave what was entered."""
        try:
            await close_streams(self._stream)
        finally:
            await self._entered.__aexit__(kind, error, trace)

    def __aiter__(self) -> Any:
        if self._stream is not None:
            return aiter(self._stream)
        if hasattr(self._pending, "__aiter__"):
            return aiter(self._pending)
        raise TypeError(
            f"the stage's source, {type(self._pending).__qualname__}, is to be opened first: "
            "enter the stage with `async with`"
        )

    def __anext__(self) -> Any:
        return self.__aiter__().__anext__()

    async def aclose(self) -> None:
        """Close the stream if it is one that was iterated as it is."""
        await close_streams(self._pending if self._stream is None else self._stream)


def _with_first(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, first: Any) -> Any:
    return function(first, *args, **kwargs)


async def _each(call: Callable[[Any], Awaitable[Any]], source: Any) -> AsyncGenerator[Any, None]:
    async for item in source:
        yield await call(item)


async def _in_thread(calls: ThreadCalls, live: LiveStream, call: Callable[[Any], Any], item: Any) -> Any:
    try:
        return await calls.run(call, item)
    finally:
        live.learned.update(calls.attributes())


async def _closing(items: AsyncGenerator[Any, None], source: Any) -> AsyncGenerator[Any, None]:
    """Yield the items; in the end close the stage, then what fed it, which `async for` does not do."""
    try:
        async for item in items:
            yield item
    finally:
        await close_streams(items, source)

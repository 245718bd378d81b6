"""buffer: let a source run ahead of its consumer, but only so far. Floor 4 (wrap); the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from opentelemetry.trace import TracerProvider

from firsttoken.errors import ConfigError
from firsttoken.pipeline._channel import PipelineStream
from firsttoken.pipeline._operator import Operator
from firsttoken.pipeline._putter import Putter
from firsttoken.pipeline._source import Source, Take

if TYPE_CHECKING:
    from firsttoken._wrap.stream import Source as Streamable

T = TypeVar("T")


def buffer(
    source: Streamable[T],
    size: int = 64,
    *,
    name: str | None = None,
    limiter: anyio.CapacityLimiter | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Buffer[T]:
    """Return an async context manager of a stream that reads ahead of its consumer.

        async with buffer(tokens(), 64) as stream:
            async for token in stream:
                ...

    source: an async iterable, a sync one (then each item comes from a worker thread), an awaitable or an
        async context manager of one. It is pulled from the first pull of the stream on, in one task, and
        closed when the block is left, the stream is closed or dropped, or it ends.
    size: how many items it may be ahead.
    name: of the span: `buffer {name}`.
    limiter: whose worker threads a sync source takes.
    tracer_provider: the configured or the global one if not given.

    Several tasks may share the stream; each item goes to one of them. What the source raises comes after
    its items, to all of them. A pull that is cancelled loses nothing.

    Raises: TypeError: if an argument has a wrong type.
    Raises: ConfigError: if `size` is below 1.

    Cost: per item a quarter of a bare anyio memory object stream at a size of 16 and more, 1.4 times one
    at a size of 1; tests/bench/bench_pipeline.py.
    """
    return Buffer(source, at_least_one("size", size), name, limiter, tracer_provider)


class Buffer(Operator[PipelineStream[T]], Generic[T]):
    """See `buffer`."""

    def __init__(
        self,
        source: Streamable[T],
        size: int,
        name: str | None,
        limiter: anyio.CapacityLimiter | None,
        tracer_provider: TracerProvider | None,
    ) -> None:
        pulled = Source(source, "source", limiter)
        super().__init__("buffer", name, [pulled], size, 1, tracer_provider)
        self._putter: Putter[T]

    def streams(self) -> PipelineStream[T]:
        """Return the one stream."""
        self._putter = Putter(self.channels[0], self.name)
        return PipelineStream(self.channels[0])

    def taker(self, source: Source) -> Take:
        """Return the way into the channel."""
        return self._putter.put

    def putters(self) -> list[Putter[T]]:
        """Return the one way in."""
        return [self._putter]


def at_least_one(name: str, value: int) -> int:
    """Return `value`, a number of things.

    Raises: TypeError: if it is no whole number.
    Raises: ConfigError: if it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {type(value).__qualname__}")
    if value < 1:
        raise ConfigError(f"{name} is at least 1, not {value}")
    return value

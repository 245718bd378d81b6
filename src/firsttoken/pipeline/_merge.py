"""merge: several sources as one stream, in the order their items come. Floor 4 (wrap); the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._clock import to_s
from firsttoken.pipeline._channel import PipelineStream
from firsttoken.pipeline._operator import Operator
from firsttoken.pipeline._putter import Putter
from firsttoken.pipeline._source import Source, Take

if TYPE_CHECKING:
    from firsttoken._wrap.stream import Source as Streamable


def merge(
    *sources: Streamable[Any], tracer_provider: TracerProvider | None = None, **named: Streamable[Any]
) -> Merge:
    """Return an async context manager of a stream of the items of all sources, as they come.

        async with merge(fast=ask(small), good=ask(large)) as stream:
            async for name, token in stream:
                ...

    sources: whatever `buffer` takes; the stream yields their items.
    named: the same by name; the stream yields pairs of name and item.
    tracer_provider: the configured or the global one if not given.

    Each source is pulled in a task of its own and is never more than a few items ahead: there is room for
    one item per source. The stream ends with the last source. If one raises, the others are stopped and
    the error comes after the items that are there.

    Raises: TypeError: if there are no sources, some with and some without a name, or one is no stream.

    Cost: half of a bare anyio memory object stream per item; tests/bench/bench_pipeline.py.
    """
    if not sources and not named:
        raise TypeError("merge takes at least one source")
    if sources and named:
        raise TypeError("merge takes sources that are all named, or all not")
    return Merge(sources, named, tracer_provider)


class Merge(Operator[PipelineStream[Any]]):
    """See `merge`."""

    def __init__(
        self,
        sources: tuple[Any, ...],
        named: Mapping[str, Any],
        tracer_provider: TracerProvider | None,
    ) -> None:
        self._named = bool(named)
        every = named or {str(number): source for number, source in enumerate(sources)}
        pulled = [Source(source, name) for name, source in every.items()]
        super().__init__("merge", None, pulled, len(pulled), 1, tracer_provider)
        self._putters: dict[str, Putter[Any]] = {}

    def streams(self) -> PipelineStream[Any]:
        """Return the one stream."""
        self._putters = {source.name: Putter(self.channels[0], source.name) for source in self.sources}
        return PipelineStream(self.channels[0])

    def taker(self, source: Source) -> Take:
        """Return the source's way into the channel."""
        name, put = source.name, self._putters[source.name].put
        if not self._named:
            return put
        return lambda item: put((name, item))

    def putters(self) -> list[Putter[Any]]:
        """Return one way in per source."""
        return list(self._putters.values())

    def attributes(self) -> dict[str, Any]:
        """Return what each source did."""
        putters = self.putters()
        return {
            semconv.PIPELINE_SOURCE_NAMES: [putter.name for putter in putters],
            semconv.PIPELINE_SOURCE_ITEM_COUNTS: [putter.put_count for putter in putters],
            semconv.PIPELINE_SOURCE_PUT_WAITS: [to_s(putter.put_wait_ns) for putter in putters],
        }

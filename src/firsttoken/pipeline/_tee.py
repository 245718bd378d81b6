"""tee: one source for several consumers, each at its own speed. Floor 4 (wrap); the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from anyio.lowlevel import checkpoint
from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._clock import to_s
from firsttoken._settings import one_of
from firsttoken.pipeline._buffer import at_least_one
from firsttoken.pipeline._channel import BREATH, Channel, PipelineStream
from firsttoken.pipeline._operator import Operator
from firsttoken.pipeline._putter import Putter
from firsttoken.pipeline._source import Source, Take

if TYPE_CHECKING:
    from firsttoken._wrap.stream import Source as Streamable

T = TypeVar("T")

POLICIES: Final = ("wait", "drop")


def tee(
    source: Streamable[T],
    n: int = 2,
    *,
    size: int = 64,
    when_full: Literal["wait", "drop"] = "wait",
    name: str | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Tee[T]:
    """Return an async context manager of `n` streams, each of which has every item of `source`.

        async with tee(answer(), 2, when_full="drop") as (screen, archive):
            ...

    source: whatever `buffer` takes.
    n: how many streams, called branches.
    size: how many items a branch holds for a consumer that is slower than the others.
    when_full: `wait`, so that the slowest consumer sets the pace; or `drop` what comes while a branch is
        full, for that branch alone, and count it.
    name: of the span: `tee {name}`.
    tracer_provider: the configured or the global one if not given.

    Who leaves a branch (a `break` out of its `async for` is enough, or `aclose`) holds up nobody else; the
    last one to leave stops the source. What the source raises comes out of every branch.

    Raises: TypeError: if an argument has a wrong type.
    Raises: ConfigError: if a number is below 1 or `when_full` is no policy.

    Cost: per item half of a bare anyio memory object stream per branch; tests/bench/bench_pipeline.py.
    """
    one_of("when_full", when_full, POLICIES)
    return Tee(
        source, at_least_one("n", n), at_least_one("size", size), when_full == "drop", name, tracer_provider
    )


class Tee(Operator[tuple[PipelineStream[T], ...]], Generic[T]):
    """See `tee`."""

    def __init__(
        self,
        source: Streamable[T],
        n: int,
        size: int,
        drops: bool,
        name: str | None,
        tracer_provider: TracerProvider | None,
    ) -> None:
        super().__init__("tee", name, [Source(source, "source")], size, n, tracer_provider)
        self._count = 0
        self._drops = drops
        self._putters: list[Putter[T]] = []

    def streams(self) -> tuple[PipelineStream[T], ...]:
        """Return the branches."""
        self._putters = [
            Putter(channel, f"{self.name}, branch {number}") for number, channel in enumerate(self.channels)
        ]
        return tuple(Branch(channel) for channel in self.channels)

    def taker(self, source: Source) -> Take:
        """Return what hands an item to all branches."""
        return self._hand_out

    def putters(self) -> list[Putter[T]]:
        """Return one way in per branch."""
        return self._putters

    async def _hand_out(self, item: T) -> bool:
        # Those that have room get it at once, whoever else is full.
        full = [putter for putter in self._putters if not putter.offer(item)]
        if not full:
            self._count += 1
            if self._count % BREATH == 0:
                await checkpoint()
        elif self._drops:
            # One turn for a reader that only did not come to run yet.
            await checkpoint()
            for putter in full:
                putter.dropped += not putter.offer(item)
        else:
            for putter in full:
                await putter.put(item)
        return not self.stopped

    def attributes(self) -> dict[str, Any]:
        """Return what each branch did."""
        putters, channels = self._putters, self.channels
        return {
            semconv.PIPELINE_BRANCH_ITEM_COUNTS: [putter.put_count for putter in putters],
            semconv.PIPELINE_BRANCH_DROP_COUNTS: [putter.dropped for putter in putters],
            semconv.PIPELINE_BRANCH_DEPTH_MAXIMA: [channel.depth_max for channel in channels],
            semconv.PIPELINE_BRANCH_PUT_WAITS: [to_s(putter.put_wait_ns) for putter in putters],
            semconv.PIPELINE_BRANCH_GET_WAITS: [to_s(channel.get_wait_ns) for channel in channels],
        }


class Branch(PipelineStream[T]):
    """One stream of a tee. Leaving an `async for` over it leaves it: nobody must wait for who has gone."""

    __slots__ = ("readings",)

    def __init__(self, channel: Channel[T]) -> None:
        super().__init__(channel)
        self.readings = 0

    def __aiter__(self) -> AsyncIterator[T]:
        return Reading(self, self._channel)


class Reading(PipelineStream[T]):
    """One iteration of a branch; when the last that goes on ends, the branch is left."""

    __slots__ = ("_branch",)

    def __init__(self, branch: Branch[T], channel: Channel[T]) -> None:
        super().__init__(channel)
        self._branch = branch
        branch.readings += 1

    def __del__(self) -> None:
        self._branch.readings -= 1
        if not self._branch.readings:
            self._channel.leave()

"""Streams into which known causes of slowness are put, and the record of what was put where.

One `Scene` is some streams on one event loop, each with a chunk every 25 ms or so. A cause is injected at a
random moment, into the source or the reader of a random stream, and written down with its times. So is what
else the machine did to the loop. That is the truth with which `attribution_truth` compares what was told.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from tests.bench import blocking_causes
from tests.bench.attribution_starving import Spinners

import firsttoken
from firsttoken.blocking import LoopBlock, recent
from firsttoken.pipeline import stage
from firsttoken.summary import Stall

STALL_S = 0.1
SHORTEST_S, LONGEST_S = 0.12, 0.4
POOL = 4
#: What else keeps the loop from turning counts from here on, a little below the monitor's own threshold.
CANARY_NS = 10_000_000
NOISE_NS = 40_000_000

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SpanProcessor())


@dataclass(frozen=True)
class Injected:
    """One cause where it was put: `stream` is None where it concerns all of them.

    line_of: the function that blocked; None if no line did.
    """

    cause: str
    begin_ns: int
    end_ns: int
    stream: int | None = None
    line_of: Callable[[], None] | None = None


@dataclass(frozen=True)
class Played:
    """What was injected into a scene, and what was told of it.

    stalls: stream and stall, times on the monotonic clock.
    """

    injected: list[Injected]
    stalls: list[tuple[int, int, Stall]]
    blocks: list[LoopBlock]


Act = Callable[[], Awaitable[None]]


class Scene:
    """Some streams on the running event loop.

    streams: how many.
    chance: decides everything that is left to chance.
    pooled: each chunk goes through a worker thread of a small pool.
    spinners: what can take the processor away.
    """

    def __init__(
        self, streams: int, chance: random.Random, pooled: bool = False, spinners: Spinners | None = None
    ) -> None:
        self.streams = streams
        self.spinners = spinners
        self.chance = chance
        self.injected: list[Injected] = []
        self.over = False
        self.jitters = False
        self._pool = anyio.CapacityLimiter(POOL)
        self._pooled = pooled
        self._pace_s = 0.06 if pooled else 0.025
        self._acts: dict[tuple[int, str], deque[Act]] = defaultdict(deque)
        self._readers: list[asyncio.Task[None]] = []
        self._traced: list[Any] = []

    def duration_s(self) -> float:
        """Return how long the next injection is to take."""
        return self.chance.uniform(SHORTEST_S, LONGEST_S)

    async def source(self, stream: int) -> AsyncIterator[str]:
        """Yield a chunk now and then."""
        while not self.over:
            await asyncio.sleep(self._pace_s * self.chance.uniform(0.6, 1.4))
            if self.jitters and self.chance.random() < 0.1:
                await self.waits("provider", stream, min(self.chance.expovariate(6.0), LONGEST_S))
            await self._act(stream, "source")
            yield "token"

    async def read(self, stream: int) -> None:
        """Read one stream to its end, or until the reader is cancelled."""
        traced = self._traced[stream]
        try:
            async for _ in traced:
                await self._act(stream, "reader")
        finally:
            await traced.aclose()

    async def _act(self, stream: int, side: str) -> None:
        acts = self._acts[stream, side]
        if acts:
            await acts.popleft()()

    def trace(self, stream: int) -> Any:
        """Return one more stream, traced."""
        source = self.source(stream)
        if not self._pooled:
            return firsttoken.trace_stream(source, tracer_provider=PROVIDER)

        @stage(limiter=self._pool, tracer_provider=PROVIDER)
        def looked_up(item: str) -> str:
            return item

        return looked_up(source)

    # --- injections -------------------------------------------------------------------------------------

    async def put(self, stream: int, side: str, act: Act) -> None:
        """Let the source or the reader of a stream do something next; wait until it did."""
        done = asyncio.Event()

        async def acted() -> None:
            try:
                await act()
            finally:
                done.set()

        self._acts[stream, side].append(acted)
        await done.wait()

    async def waits(self, cause: str, stream: int | None, for_s: float) -> None:
        """Wait, without holding anybody up, and write it down."""
        begin_ns = time.perf_counter_ns()
        await asyncio.sleep(for_s)
        self.injected.append(Injected(cause, begin_ns, time.perf_counter_ns(), stream))

    async def blocks(self, how: Callable[[], None]) -> None:
        """Hold the event loop, and write it down."""
        blocking_causes.BLOCK_S = self.duration_s()
        begin_ns = time.perf_counter_ns()
        how()
        self.injected.append(
            Injected("event_loop", begin_ns, time.perf_counter_ns(), line_of=how),
        )

    async def stops_reading(self, stream: int) -> None:
        """Hold a stream from the reader's side until the reader is cancelled; its stream ends."""
        begin_ns = time.perf_counter_ns()
        reader = self._readers[stream]
        asyncio.get_running_loop().call_later(self.duration_s(), reader.cancel)
        try:
            await asyncio.Event().wait()
        finally:
            self.injected.append(Injected("consumer", begin_ns, time.perf_counter_ns(), stream))

    async def fills_the_pool(self) -> None:
        """Take all worker threads at once, and write down how long they were taken."""
        # Longer than others by the time for which a stream may not have asked for a thread yet.
        for_s, taken = self.duration_s() + 1.4 * self._pace_s, threading.Barrier(POOL)
        spans: list[tuple[int, int]] = []

        def hog() -> None:
            taken.wait(60)
            begin_ns = time.perf_counter_ns()
            time.sleep(for_s)
            spans.append((begin_ns, time.perf_counter_ns()))

        async with anyio.create_task_group() as tasks:
            for _ in range(POOL):
                tasks.start_soon(partial(anyio.to_thread.run_sync, hog, limiter=self._pool))
        begin_ns, end_ns = max(begin for begin, _ in spans), min(end for _, end in spans)
        self.injected.append(Injected("thread_pool", begin_ns, end_ns))

    # --- the play ---------------------------------------------------------------------------------------

    async def sings(self) -> None:
        """Write down whatever else keeps the loop from turning: the machine does other things as well.

        A canary: it should turn every 10 ms, and knows nothing of the monitor.
        """
        while True:
            due_ns = time.perf_counter_ns() + CANARY_NS
            await asyncio.sleep(CANARY_NS / 1e9)
            now_ns = time.perf_counter_ns()
            if now_ns - due_ns >= NOISE_NS:
                self.injected.append(Injected("event_loop", due_ns, now_ns))

    async def play(self, plot: Callable[[Scene, int], Awaitable[None]], rounds: int) -> Played:
        """Run all streams while `plot` injects something `rounds` times; return what was told."""
        loop = asyncio.get_running_loop()
        self._traced = [self.trace(stream) for stream in range(self.streams)]
        self._readers = [loop.create_task(self.read(stream)) for stream in range(self.streams)]
        canary = loop.create_task(self.sings())
        await asyncio.sleep(0.3)
        begun_ns = time.perf_counter_ns()
        await plot(self, rounds)
        await asyncio.sleep(0.3)
        self.over = True
        await asyncio.gather(*self._readers, return_exceptions=True)
        canary.cancel()
        # As in a service: the loop goes on, and what is still to be learned of it is learned.
        await asyncio.sleep(0.5)
        await asyncio.to_thread(firsttoken.flush, 60)
        told = [
            (stream, stall.started_ns - _wall_offset_ns(), stall)
            for stream, traced in enumerate(self._traced)
            for stall in traced.summary.stalls
        ]
        blocks = [block for block in recent() if isinstance(block, LoopBlock) and block.ended_ns > begun_ns]
        return Played(self.injected, [told_ for told_ in told if told_[1] > begun_ns], blocks)


def _wall_offset_ns() -> int:
    return time.time_ns() - time.perf_counter_ns()

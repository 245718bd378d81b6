"""The plots: which cause is put into the streams of a scene, when and how often."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from tests.bench import blocking_causes
from tests.bench.attribution_scenes import PROVIDER, STALL_S, Injected, Played, Scene
from tests.bench.attribution_starving import Spinners
from tests.bench.blocking_causes import (
    backtracks,
    calls_http,
    collects_garbage,
    computes,
    sleeps,
    writes_a_file,
)

import firsttoken


async def _each_stream(scene: Scene, rounds: int, inject: Callable[[int], Awaitable[None]]) -> None:
    async def one(stream: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(scene.chance.uniform(0.15, 0.4))
            await inject(stream)

    await asyncio.gather(*map(one, range(scene.streams)))


async def slow_provider(scene: Scene, rounds: int) -> None:
    async def inject(stream: int) -> None:
        await scene.put(stream, "source", lambda: scene.waits("provider", stream, scene.duration_s()))

    await _each_stream(scene, rounds, inject)


async def provider_jitter(scene: Scene, rounds: int) -> None:
    scene.jitters = True
    await asyncio.sleep(0.5 * rounds)


async def slow_reader(scene: Scene, rounds: int) -> None:
    async def inject(stream: int) -> None:
        await scene.put(stream, "reader", lambda: scene.waits("consumer", stream, scene.duration_s()))

    await _each_stream(scene, rounds, inject)


async def reader_that_stops(scene: Scene, rounds: int) -> None:
    """Stop each reader once: the number of rounds is that of the streams."""

    async def inject(stream: int) -> None:
        await scene.put(stream, "reader", lambda: scene.stops_reading(stream))

    await _each_stream(scene, 1, inject)


def blocked_by(how: Callable[[], None]) -> Callable[[Scene, int], Awaitable[None]]:
    """Return the plot in which one line blocks the loop, in the source or the reader of any stream."""

    async def plot(scene: Scene, rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(scene.chance.uniform(0.15, 0.35))
            stream, side = scene.chance.randrange(scene.streams), scene.chance.choice(("source", "reader"))
            await scene.put(stream, side, lambda: scene.blocks(how))

    return plot


async def full_thread_pool(scene: Scene, rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(scene.chance.uniform(0.3, 0.5))
        await scene.fills_the_pool()


async def starved_of_cpu(scene: Scene, rounds: int) -> None:
    assert scene.spinners is not None
    for _ in range(rounds):
        await asyncio.sleep(scene.chance.uniform(0.3, 0.5))
        begin_ns, end_ns = await asyncio.to_thread(scene.spinners.spin, scene.duration_s())
        scene.injected.append(Injected("event_loop", begin_ns, end_ns))


BLOCKING = (writes_a_file, sleeps, computes, backtracks, calls_http, collects_garbage)


async def a_mix(scene: Scene, rounds: int) -> None:
    """Inject all of them, at once and over each other."""

    async def block() -> None:
        for _ in range(rounds):
            await blocked_by(scene.chance.choice(BLOCKING))(scene, 1)

    await asyncio.gather(block(), slow_provider(scene, rounds), slow_reader(scene, rounds))


PLOTS: dict[str, Callable[[Scene, int], Awaitable[None]]] = {
    "slow provider": slow_provider,
    "provider jitter": provider_jitter,
    "slow reader": slow_reader,
    "reader that stops": reader_that_stops,
    "blocking file write": blocked_by(writes_a_file),
    "`time.sleep`": blocked_by(sleeps),
    "CPU loop": blocked_by(computes),
    "regex catastrophe": blocked_by(backtracks),
    "synchronous HTTP": blocked_by(calls_http),
    "GC pause": blocked_by(collects_garbage),
    "full thread pool": full_thread_pool,
    "CPU starvation": starved_of_cpu,
    "a mix of them": a_mix,
}


def play(plot: str, streams: int, rounds: int, seed: int) -> Played:
    """Play one plot on an event loop of its own, in this process."""
    chance = random.Random(seed)
    if plot in ("regex catastrophe", "a mix of them"):
        blocking_causes.regex_length()
    if plot in ("GC pause", "a mix of them"):
        blocking_causes.grow_heap()
        # From now on there are pauses where they are injected, and nowhere else.
        gc.disable()
    if plot in ("synchronous HTTP", "a mix of them"):
        blocking_causes.server_url()
    # A reader stops once: a single stream's is one of many, one after the other.
    scenes = rounds if plot == "reader that stops" and streams == 1 else 1
    with Spinners() if plot == "CPU starvation" else nullcontext() as spinners:
        firsttoken.configure(tracer_provider=PROVIDER, stall_threshold_s=STALL_S)
        played = [
            asyncio.run(_play(Scene(streams, chance, plot == "full thread pool", spinners), plot, rounds))
            for _ in range(scenes)
        ]
    return Played(
        [injected for one in played for injected in one.injected],
        [stall for one in played for stall in one.stalls],
        [block for one in played for block in one.blocks],
    )


async def _play(scene: Scene, plot: str, rounds: int) -> Played:
    return await scene.play(PLOTS[plot], rounds)

"""What a pipeline operator costs per item, and what becomes of a stream when something goes wrong.

    python tests/bench/bench_pipeline.py [--json] [--items 20000] [--rounds 5] [--loop asyncio|uvloop|trio]

Cost is compared with a bare anyio memory object stream of the same size, fed by a task, in the same run;
both spans and counters are on. The table of what becomes of a stream is asyncio's; `aiostream` takes part
where it is installed.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns

import anyio
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

sys.path.insert(0, str(Path(__file__).parent))
from _pipeline_peers import PEERS, SCENARIOS, SIZE, FanOut, correctness
from _report import Row, parser, report

from firsttoken.pipeline import buffer, merge, tee

BOUND = 1.5
SIZES = (1, 16, 64)

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SpanProcessor())

Drain = Callable[[int], Awaitable[None]]


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def drain(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


def memory_stream(size: int, sources: int = 1, readers: int = 1) -> Drain:
    """Return the bare equivalent: a task per source, a memory object stream per reader."""

    async def run(count: int) -> None:
        ends = [anyio.create_memory_object_stream[int](size) for _ in range(readers)]
        left = sources

        async def feed() -> None:
            nonlocal left
            async for number in numbers(count // sources):
                for send, _ in ends:
                    await send.send(number)
            left -= 1
            if not left:
                for send, _ in ends:
                    send.close()

        async with anyio.create_task_group() as tasks:
            for _ in range(sources):
                tasks.start_soon(feed)
            for _, receive in ends:
                tasks.start_soon(drain, receive)
        for _, receive in ends:
            receive.close()

    return run


def buffered(size: int) -> Drain:
    async def run(count: int) -> None:
        async with buffer(numbers(count), size, tracer_provider=PROVIDER) as stream:
            await drain(stream)

    return run


def merged(sources: int) -> Drain:
    async def run(count: int) -> None:
        made = merge(*(numbers(count // sources) for _ in range(sources)), tracer_provider=PROVIDER)
        async with made as stream:
            await drain(stream)

    return run


def teed(size: int, readers: int) -> Drain:
    async def run(count: int) -> None:
        made = tee(numbers(count), readers, size=size, tracer_provider=PROVIDER)
        async with made as branches, anyio.create_task_group() as tasks:
            for branch in branches:
                tasks.start_soon(drain, branch)

    return run


async def best_ns(ways: dict[str, Drain], items: int, rounds: int) -> dict[str, float]:
    """Return the best ns per item of each way, all in turn in each round."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, run in ways.items():
            gc.collect()
            begun = perf_counter_ns()
            await run(items)
            best[name] = min(best[name], (perf_counter_ns() - begun) / items)
    return best


def cost_rows(items: int, rounds: int, loop: str) -> list[Row]:
    """Measure every operator against its bare equivalent."""
    pairs: dict[str, tuple[Drain, Drain]] = {
        **{f"buffer of {size}": (buffered(size), memory_stream(size)) for size in SIZES},
        "merge of 3": (merged(3), memory_stream(3, sources=3)),
        "tee to 2, size 1": (teed(1, 2), memory_stream(1, readers=2)),
        "tee to 2, size 64": (teed(64, 2), memory_stream(64, readers=2)),
    }
    ways = {f"b{name}": bare for name, (_, bare) in pairs.items()}
    ways |= {f"o{name}": ours for name, (ours, _) in pairs.items()}
    options = {"use_uvloop": True} if loop == "uvloop" else {}
    backend = "trio" if loop == "trio" else "asyncio"
    best = anyio.run(best_ns, ways, items, rounds, backend=backend, backend_options=options)
    rows = []
    for name in pairs:
        rows.append(Row(f"{name}: memory object stream", f"{best['b' + name]:.0f} ns"))
        ours = best["o" + name]
        rows.append(Row(f"{name}: ours", f"{ours:.0f} ns", ours / best["b" + name], BOUND))
    return rows


def peer(fan_out: FanOut) -> Drain:
    async def run(count: int) -> None:
        async with fan_out(numbers(count), 1) as (stream,):
            await drain(stream)

    return run


def peer_rows(items: int, rounds: int) -> list[Row]:
    """Measure one stream with a bound of a few items, as each peer does it."""
    best = asyncio.run(best_ns({name: peer(fan_out) for name, fan_out in PEERS.items()}, items, rounds))
    ours = best["firsttoken"]
    return [
        Row(f"one stream, bound {SIZE}: {name}", f"{ns:.0f} ns", ns / ours) for name, ns in best.items()
    ]


def outcome_rows() -> list[Row]:
    """Let every peer meet every mishap; only our own answers are held to a bound."""
    rows = []
    for peer in PEERS:
        for scenario in SCENARIOS:
            verdict = asyncio.run(correctness(peer, scenario))
            bound = 1 if peer == "firsttoken" else None
            rows.append(Row(f"{scenario}: {peer}", verdict, float(verdict == "ok"), bound, at_least=True))
    rows.sort(key=lambda row: list(SCENARIOS).index(row.what.split(":")[0]))
    return rows


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--items", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--loop", choices=("asyncio", "uvloop", "trio"), default="asyncio")
    arguments = options.parse_args()
    rows = cost_rows(arguments.items, arguments.rounds, arguments.loop)
    rows += peer_rows(arguments.items, arguments.rounds) + outcome_rows()
    return report(f"pipelines, per item, on {arguments.loop}", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

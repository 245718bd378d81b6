"""What a live stream keeps: bytes per chunk once swept, per live stream, and a million chunks in one.

python tests/bench/bench_memory.py [--json] [--chunks 200000] [--streams 500] [--million]
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

import firsttoken

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SpanProcessor())


async def source(chunks: int) -> AsyncIterator[str]:
    for _ in range(chunks):
        yield "token"
        await asyncio.sleep(0)
    await asyncio.Event().wait()


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def advance(stream: Any, chunks: int) -> None:
    """Read some chunks, letting the thinker sweep now and then."""
    for index in range(chunks):
        await anext(stream)
        if index % 10_000 == 9_999:
            await asyncio.to_thread(firsttoken.flush, 60)
    await asyncio.to_thread(firsttoken.flush, 60)


async def per_chunk(chunks: int) -> float:
    """Return the bytes kept per chunk of one stream that still runs."""
    stream = aiter(firsttoken.trace_stream(source(chunks), tracer_provider=PROVIDER))
    await advance(stream, 1000)
    before = allocated()
    await advance(stream, chunks - 1000)
    kept = (allocated() - before) / (chunks - 1000)
    await stream.aclose()
    return kept


async def per_stream(streams: int) -> float:
    """Return the bytes kept per live stream that has seen its first chunks."""
    bare = [source(10) for _ in range(streams)]
    for stream in bare:
        await anext(stream)
    before = allocated()
    traced = [aiter(firsttoken.trace_stream(stream, tracer_provider=PROVIDER)) for stream in bare]
    for stream in traced:
        await anext(stream)
    await asyncio.to_thread(firsttoken.flush, 60)
    kept = (allocated() - before) / streams
    for stream in traced:
        await stream.aclose()
    return kept


def resident() -> float:
    """Return the most memory this process ever had resident, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def peak(chunks: int) -> float:
    """Return by how many MiB the process grows while a stream of `chunks` runs and is told."""
    before = resident()
    seen = 0
    async for _ in firsttoken.trace_stream(source(chunks), tracer_provider=PROVIDER):
        seen += 1
        if seen == chunks:
            break
    await asyncio.to_thread(firsttoken.flush, 120)
    return resident() - before


async def run(arguments: Any) -> list[Row]:
    await per_chunk(5000)
    kept = await per_chunk(arguments.chunks)
    live = await per_stream(arguments.streams)
    return [
        Row("kept per chunk, once swept (bytes)", f"{kept:.1f}", kept, 24),
        Row("kept per live stream (bytes)", f"{live:.0f}", live, 8192),
    ]


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--streams", type=int, default=500)
    options.add_argument("--million", action="store_true")
    arguments = options.parse_args()
    rows = []
    if arguments.million:
        # First, and without the bookkeeping of allocations, which slows the thinker to a crawl.
        most = asyncio.run(peak(1_000_000))
        rows.append(Row("grown by a stream of 1,000,000 chunks (MiB)", f"{most:.1f}", most, 64))
    tracemalloc.start()
    rows = [*asyncio.run(run(arguments)), *rows]
    return report("memory of live streams", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

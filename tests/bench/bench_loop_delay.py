"""How late a 1 ms ticker on the event loop comes while the worker handles 10,000 chunks a second.

    python tests/bench/bench_loop_delay.py [--json] [--seconds 3] [--runs 5]

The streams share the loop with the ticker; the same streams untraced are shown beside them. So is what the
loop monitor adds. (A wake makes asyncio's selector, which waits in whole milliseconds, up to one late for
the timer that comes next; so the monitor wakes no loop that it sees waiting, but four times a second.)
The median of the runs' p99 is compared with the median when idle.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

import firsttoken

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SpanProcessor())
CHUNKS_PER_STREAM = 200
LIVE = 100


def sse_chunk(text: str) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


CHUNK = sse_chunk("token")


async def source() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS_PER_STREAM):
        yield CHUNK
    yield b"data: [DONE]\n\n"


async def nothing() -> None:
    return None


async def ticker(seconds: float, between: Callable[[], Awaitable[None]] = nothing) -> list[float]:
    """Return how late each tick of 1 ms came, in ms.

    between: done between two ticks. A timer of its own would not do: the selector waits in whole
        milliseconds, so that each wake for one timer makes the other up to a millisecond late.
    """
    late: list[float] = []
    until = perf_counter_ns() + int(seconds * 1e9)
    while perf_counter_ns() < until:
        begun = perf_counter_ns()
        await asyncio.sleep(0.001)
        late.append((perf_counter_ns() - begun) / 1e6 - 1)
        await between()
    return late


async def with_streams(seconds: float, rate: int, traced: bool) -> list[float]:
    """Tick while LIVE streams together bring `rate` chunks a second, spread evenly, traced or bare."""

    def begin() -> AsyncIterator[bytes]:
        stream = source()
        return aiter(firsttoken.trace_stream(stream, tracer_provider=PROVIDER)) if traced else stream

    streams = [begin() for _ in range(LIVE)]
    # Each begins and ends at its own time, as they do in a real service.
    for offset, stream in enumerate(streams):
        for _ in range(offset * CHUNKS_PER_STREAM // LIVE):
            await anext(stream)
    begun, pulled = perf_counter_ns(), 0

    async def pull() -> None:
        nonlocal pulled
        due = (perf_counter_ns() - begun) * rate // 1_000_000_000
        while pulled < due:
            place = pulled % LIVE
            if await anext(streams[place], None) is None:
                streams[place] = begin()
            pulled += 1

    return await ticker(seconds, pull)


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--rate", type=int, default=10_000)
    arguments = options.parse_args()
    idle, bare, loaded, watched = [], [], [], []
    for _ in range(arguments.runs):
        idle.append(p99(asyncio.run(ticker(arguments.seconds))))
        bare.append(p99(asyncio.run(with_streams(arguments.seconds, arguments.rate, traced=False))))
        for block_threshold_s, found in ((None, loaded), (0.05, watched)):
            firsttoken.configure(tracer_provider=PROVIDER, block_threshold_s=block_threshold_s)
            found.append(p99(asyncio.run(with_streams(arguments.seconds, arguments.rate, traced=True))))
            firsttoken.flush(30)
    base = median(idle)
    rows = [
        Row("idle loop, p99 of a 1 ms ticker", f"{base:.3f} ms", 1.0),
        Row("the same streams, not traced", f"{median(bare):.3f} ms", median(bare) / base),
        Row(f"traced, {arguments.rate} chunks/s", f"{median(loaded):.3f} ms", median(loaded) / base, 3),
        Row(
            "the same, and the loop monitor",
            f"{median(watched):.3f} ms",
            median(watched) / base,
        ),
    ]
    return report("loop delay while the worker thinks", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

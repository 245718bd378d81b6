"""What `trace_stream` adds per chunk on the event loop, against the hop of an empty wrapping generator.

    python tests/bench/bench_record.py [--json] [--chunks 100000] [--rounds 9]

The peer is the stream wrapper of the official GenAI instrumentations with SDK metrics on, in the same run.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

import firsttoken
from firsttoken._settings import Settings
from firsttoken._wrap.pending import traced_source
from firsttoken._wrap.request import Request
from firsttoken._wrap.runtime import Runtime

Make = Callable[[AsyncIterator[Any]], Any]


async def source(chunks: int) -> AsyncIterator[str]:
    for _ in range(chunks):
        yield "token"


async def hop(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in stream:
        yield chunk


def bare(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    return stream


def provider(**options: Any) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False, **options)
    made.add_span_processor(SpanProcessor())
    return made


def default(stream: AsyncIterator[Any]) -> Any:
    return firsttoken.trace_stream(stream, tracer_provider=RECORDING)


def arrivals_only(stream: AsyncIterator[Any]) -> Any:
    return traced_source(stream, LEAN.open(Request()), LEAN.start_span)


def unsampled(stream: AsyncIterator[Any]) -> Any:
    return firsttoken.trace_stream(stream, tracer_provider=UNSAMPLED)


def no_provider(stream: AsyncIterator[Any]) -> Any:
    return firsttoken.trace_stream(stream)


def official(stream: AsyncIterator[Any]) -> Any:
    from opentelemetry.util.genai.handler import TelemetryHandler
    from opentelemetry.util.genai.stream import AsyncStreamWrapper

    class Wrapper(AsyncStreamWrapper[Any]):
        def _process_chunk(self, chunk: Any) -> None:
            pass

        def _on_stream_end(self) -> None:
            invocation.stop()

        def _on_stream_error(self, error: BaseException) -> None:
            invocation.fail(error)

    handler = TelemetryHandler(tracer_provider=RECORDING, meter_provider=METERS)
    invocation = handler.inference("openai", request_model="m")
    return Wrapper(stream, invocation)


RECORDING = provider()
UNSAMPLED = provider(sampler=ALWAYS_OFF)
METERS = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
LEAN = Runtime(Settings(record="arrivals", block_threshold_s=None), tracer_provider=RECORDING)


async def drain(stream: AsyncIterator[Any], chunks: int) -> float:
    """Return ns per chunk of reading a stream to its end."""
    gc.collect()
    begun = perf_counter_ns()
    async for _ in stream:
        pass
    return (perf_counter_ns() - begun) / chunks


async def measure(chunks: int, rounds: int) -> dict[str, float]:
    """Return the best ns per chunk of each way to iterate, all in turn in each round."""
    ways: dict[str, tuple[Make, int]] = {
        "bare": (bare, chunks),
        "hop": (hop, chunks),
        "default": (default, chunks),
        "arrivals": (arrivals_only, chunks),
        "unsampled": (unsampled, chunks),
        "no provider": (no_provider, chunks),
        "official": (official, max(1000, chunks // 10)),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, (make, size) in ways.items():
            best[name] = min(best[name], await drain(make(source(size)), size))
            firsttoken.flush(30)
            LEAN.flush(30)
    return best


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--chunks", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=9)
    arguments = options.parse_args()
    best = asyncio.run(measure(arguments.chunks, arguments.rounds))
    added = {name: ns - best["bare"] for name, ns in best.items()}
    hop_ns = added["hop"]

    def row(what: str, name: str, bound: float | None) -> Row:
        return Row(what, f"{added[name]:.0f} ns", added[name] / hop_ns, bound)

    rows = [
        Row("bare `async for`", f"{best['bare']:.0f} ns"),
        row("added by an empty generator (the hop)", "hop", None),
        row("added by trace_stream, everything on", "default", 8),
        row("added without nesting and hold", "arrivals", 3),
        row("added, nobody samples", "unsampled", 1.3),
        row("added, no tracer provider", "no provider", 1.3),
        row("added by opentelemetry-util-genai with SDK metrics", "official", None),
        Row(
            "official / trace_stream",
            "",
            added["official"] / added["default"],
            20,
            at_least=True,
        ),
    ]
    return report("added per chunk on the event loop", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

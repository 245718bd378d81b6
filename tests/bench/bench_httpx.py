"""What a tracing transport adds, against the same client without one; in memory: nothing else counts.

    python tests/bench/bench_httpx.py [--json] [--rounds 7]

A request to a host that is no model's costs a table look-up; a traced body costs as much per chunk as any
other stream, beside what httpx itself does with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import httpx2
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

import firsttoken
from firsttoken._wrap.calls import CallTracing
from firsttoken.httpx import AsyncTracingTransport

CHUNKS = 4000
REQUESTS = 2000
EVENT = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"token"}}]}\n\n'
MODEL = "http://model.test/v1/chat/completions"
OTHER = "http://other.test/v1/things"

PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SpanProcessor())


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield EVENT


class Answers(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "model.test":
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
        return httpx2.Response(200, content=b"{}")


def traced() -> AsyncTracingTransport:
    return AsyncTracingTransport(Answers(), hosts=["model.test"], tracer_provider=PROVIDER)


async def ns_per_chunk(transport: Any) -> float:
    async with (
        httpx2.AsyncClient(transport=transport) as client,
        client.stream("POST", MODEL, json={"model": "m"}) as response,
    ):
        chunks = response.aiter_raw()
        await anext(chunks)
        began = perf_counter_ns()
        async for _ in chunks:
            pass
        return (perf_counter_ns() - began) / (CHUNKS - 1)


async def ns_per_request(transport: Any) -> float:
    request = httpx2.Request("POST", OTHER, json={})
    began = perf_counter_ns()
    for _ in range(REQUESTS):
        await transport.handle_async_request(request)
    return (perf_counter_ns() - began) / REQUESTS


def ns_per_look() -> float:
    tracing, request = CallTracing(["model.test"]), httpx2.Request("POST", OTHER, json={})
    began = perf_counter_ns()
    for _ in range(REQUESTS):
        tracing.look_at(request)
    return (perf_counter_ns() - began) / REQUESTS


async def measure(rounds: int) -> dict[str, float]:
    """Return the best of each figure, in ns; the sides alternate."""
    measured: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, transport in (("without", Answers()), ("traced", traced())):
            measured.setdefault(f"chunk {name}", []).append(await ns_per_chunk(transport))
            measured.setdefault(f"request {name}", []).append(await ns_per_request(transport))
        measured.setdefault("look", []).append(ns_per_look())
        firsttoken.flush(5)
    return {name: min(values) for name, values in measured.items()}


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    ns = asyncio.run(measure(arguments.rounds))
    added_ns = ns["chunk traced"] - ns["chunk without"]
    look_ratio = ns["look"] / ns["request without"]
    rows = [
        Row("body, per chunk, without", f"{ns['chunk without']:.0f} ns"),
        Row("body, per chunk, added", f"{added_ns:.0f} ns", added_ns / ns["chunk without"], 2),
        Row("other host, per request, without", f"{ns['request without']:.0f} ns"),
        Row("other host, per request, traced", f"{ns['request traced']:.0f} ns"),
        Row("other host, the look-up alone", f"{ns['look']:.0f} ns", look_ratio, 0.1),
    ]
    return report("a tracing transport, in memory", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

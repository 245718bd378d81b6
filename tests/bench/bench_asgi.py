"""What StreamTraceMiddleware takes from the throughput of a FastAPI application on uvicorn.

    python tests/bench/bench_asgi.py [--json] [--clock wall] [--rounds 40] [--requests 100] [--chunks 500]

All variants live in one server process and take turns in each of many short rounds, over keep-alive
connections of a client in another process, which keep the server busy throughout; the ratio is the median
over the rounds of each round's own ratio. `--clock` says per second of what: `wall`, in which every thread
that holds the GIL counts; `process`, CPU time of all threads, telling and exporting to the end included;
`loop`, CPU time of the event loop's thread.

Spans are exported as `firsttoken.configure` would have it, to a collector in a process of its own; "stock"
is the batch processor and exporter of OpenTelemetry.

`/events` is a route that yields, FastAPI's way to stream. `/bytes` is the least that can be asked of a
server: a constant from a generator that never waits. No model streams like that; it is shown for the floor.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report
from export_sink import sink

DATA = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}'
)
CHUNK = b"data: " + DATA + b"\n\n"
CONNECTIONS = 4

#: name: the telemetry around the application, and the variant it is compared with.
VARIANTS = {
    "bare": None,
    "bare, ours without a provider": "bare",
    "native": None,
    "native, ours": "native",
    "native, stock": None,
    "native, stock, ours": "native, stock",
    "bare, ours with its own SERVER span": "bare",
    "contrib": "bare",
}
CLOCKS = ("wall", "process", "loop")
BOUND = ("bare, ours without a provider", "native, ours")


# --- the server's side -----------------------------------------------------------------------------


def tracer_providers(collector: str) -> tuple[Any, Any]:
    """Return a provider that exports as we do, and one that exports as OpenTelemetry does."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from firsttoken.export import StreamSpanProcessor

    ours, stock = TracerProvider(), TracerProvider()
    ours.add_span_processor(StreamSpanProcessor(collector))
    stock.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(collector)))
    return ours, stock


def application(variant: str, chunks: int, providers: tuple[Any, Any]) -> Any:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
    from fastapi.sse import EventSourceResponse

    from firsttoken.asgi import StreamTraceMiddleware

    provider = providers["stock" in variant]
    telemetry: Any = {"tracing": False, "metrics": False, "logs": False}
    if variant.startswith("native"):
        telemetry = {"tracer_provider": provider, "metrics": False, "logs": False}
    app = FastAPI(telemetry=telemetry)

    @app.get("/plain")
    async def plain() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[dict[str, Any]]:
        for _ in range(chunks):
            yield json.loads(DATA)

    @app.get("/bytes")
    async def constant() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(chunks):
                yield CHUNK

        return StreamingResponse(body(), media_type="text/event-stream")

    if "without a provider" in variant:
        app.add_middleware(StreamTraceMiddleware)
    elif "ours" in variant:
        app.add_middleware(StreamTraceMiddleware, tracer_provider=provider)
    elif variant == "contrib":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

    return app


def all_applications(variants: Sequence[str], chunks: int, collector: str) -> Any:
    """Return one application that serves each variant below a path of its number.

    One process for all: two processes of the same program differ by several percent in speed.
    """
    import firsttoken

    providers = tracer_providers(collector)
    applications = {
        f"/{number}": application(name, chunks, providers) for number, name in enumerate(variants)
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/clocks":
            number, path = scope["path"][:2], scope["path"][2:]
            await applications[number]({**scope, "path": path, "raw_path": path.encode()}, receive, send)
            return
        asked_ns = time.monotonic_ns()
        # What one variant left to think about is not to be paid by the next.
        firsttoken.flush(30)
        for provider in providers:
            provider.force_flush(30_000)
        clocks = time.monotonic_ns(), time.process_time_ns(), time.thread_time_ns()
        body = json.dumps([asked_ns, *clocks]).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def serve(variants: Sequence[str], chunks: int, descriptor: int, collector: str) -> None:
    import uvicorn

    listener = socket.socket(fileno=descriptor)
    app = all_applications(variants, chunks, collector)
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", loop="asyncio")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


# --- the client's side -----------------------------------------------------------------------------


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> bytes:
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length: " in head:
            return await self._reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        return await self._reader.readuntil(b"\r\n0\r\n\r\n")

    def close(self) -> None:
        self._writer.close()


async def repeat(connection: Connection, path: str, times: int) -> None:
    for _ in range(times):
        await connection.get(path)


async def measure(port: int, path: str, times: int) -> dict[str, float]:
    """Return how often `path` was served per second of each clock."""
    connections = [
        Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**26))
        for _ in range(CONNECTIONS)
    ]
    _, *begun_ns = json.loads(await connections[0].get("/clocks"))
    await asyncio.gather(*(repeat(one, path, times // CONNECTIONS) for one in connections))
    done_ns, _, *later_ns = json.loads(await connections[0].get("/clocks"))
    for one in connections:
        one.close()
    took = zip(CLOCKS, [done_ns, *later_ns], begun_ns, strict=True)
    return {clock: times * 1e9 / (later - before) for clock, later, before in took}


async def run_all(
    port: int, variants: Sequence[str], rounds: int, times: dict[str, int]
) -> dict[tuple[str, str], list[dict[str, float]]]:
    """Return what was measured in each round, by path and variant."""
    measured: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(rounds + 1):
        for path, count in times.items():
            # Each round begins with another one, so that none always runs after the same neighbour.
            turn = number % len(variants)
            for variant in [*variants[turn:], *variants[:turn]]:
                result = await measure(port, f"/{variants.index(variant)}{path}", count)
                if number:  # the first round warms up
                    measured.setdefault((path, variant), []).append(result)
    return measured


@contextmanager
def serving(variants: Sequence[str], chunks: int) -> Iterator[int]:
    """Serve all variants from a process of its own; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, sink() as collector:
        descriptor = listener.fileno()
        command = [sys.executable, __file__, "--chunks", str(chunks), "--descriptor", str(descriptor)]
        command += ["--collector", f"{collector}/v1/traces"]
        process = subprocess.Popen([*command, "--serve", *variants], pass_fds=[descriptor])
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(10)


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--clock", choices=CLOCKS, default="wall")
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--requests", type=int, default=100)
    options.add_argument("--chunks", type=int, default=500)
    options.add_argument("--streams", type=int, default=8)
    options.add_argument("--serve", nargs="+", help="serve these variants (used by the benchmark itself)")
    options.add_argument("--descriptor", type=int)
    options.add_argument("--collector")
    arguments = options.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.chunks, arguments.descriptor, arguments.collector)
        return 0
    names = [name for name in VARIANTS if name != "contrib" or _has_contrib()]
    times = {"/plain": arguments.requests, "/events": arguments.streams, "/bytes": arguments.streams}
    with serving(names, arguments.chunks) as port:
        measured = asyncio.run(run_all(port, names, arguments.rounds, times))
    rows = []
    for path, unit, per, at_least in (
        ("/plain", "req", 1, 0.97),
        ("/events", "chunk", arguments.chunks, 0.95),
        ("/bytes", "chunk", arguments.chunks, None),
    ):
        for name in names:
            runs, peer = [run[arguments.clock] for run in measured[path, name]], VARIANTS[name]
            speed = f"{median(runs) * per:,.0f} {unit}/s"
            ratio = None
            if peer is not None:
                pairs = zip(runs, measured[path, peer], strict=True)
                ratio = median(mine / theirs[arguments.clock] for mine, theirs in pairs)
            bound = at_least if name in BOUND else None
            rows.append(Row(f"{path}: {name}", speed, ratio, bound, at_least=True))
    return report(f"throughput per second ({arguments.clock})", rows, as_json=arguments.json)


def _has_contrib() -> bool:
    try:
        import opentelemetry.instrumentation.fastapi  # noqa: F401
    except ImportError:
        print("opentelemetry-instrumentation-fastapi is not installed: not shown", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())

"""How true the time to first token is at each edge, against the clock of a replay in another process.

    python tests/bench/bench_ttft.py [--json] [--streams 500]

The replay writes its own clock into the first token, a few milliseconds after the headers and an empty role
chunk; both processes read the same monotonic clock. What is shown is the error: the first token as the span
has it, less the moment it was sent. Part of it is the way through two sockets.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Any

import httpx
import httpx2
import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

import firsttoken
from firsttoken._clock import wall_offset_ns
from firsttoken.httpx import AsyncTracingTransport

THINKING_S = 0.003
HOSTS = ("127.0.0.1",)
ASK: dict[str, Any] = {"model": "m", "messages": [], "stream": True}

EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))


def openai_event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": str(monotonic_ns()), "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: %s\n\n" % json.dumps({**body, "choices": [choice]}).encode()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))

            def send(body: bytes) -> None:
                writer.write(b"%x\r\n%s\r\n" % (len(body), body))

            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            # The id of the first chunk that has one counts: the role chunk comes without.
            send(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')
            await asyncio.sleep(THINKING_S)
            for word in ("one", " two", " three"):
                send(openai_event({"content": word}))
            send(openai_event({}, "stop") + b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


def replay(tell: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def read(stream: Any) -> None:
    async for _ in stream:
        pass


async def openai_wrapped(client: Any) -> None:
    await read(
        await firsttoken.trace_stream(client.chat.completions.create(**ASK), tracer_provider=PROVIDER)
    )


async def openai_plain(client: Any) -> None:
    await read(await client.chat.completions.create(**ASK))


async def httpx_plain(client: Any) -> None:
    async with client.stream("POST", "/v1/chat/completions", json=ASK) as response:
        await read(response.aiter_lines())


async def errors_ns(streams: int, client: Any, one: Callable[[Any], Awaitable[None]]) -> list[int]:
    """Return how much later than it was sent each first token counts as arrived."""
    await one(client)
    assert firsttoken.flush(5)
    EXPORTER.clear()
    for _ in range(streams):
        await one(client)
    assert await asyncio.to_thread(firsttoken.flush, 10)
    offset_ns = wall_offset_ns()
    spans = EXPORTER.get_finished_spans()
    assert len(spans) == streams, len(spans)
    found = []
    for span in spans:
        ttft_ns = round(span.attributes["firsttoken.time_to_first_token"] * 1e9)
        found.append(span.start_time - offset_ns + ttft_ns - int(span.attributes["gen_ai.response.id"]))
    return sorted(found)


async def measure(url: str, streams: int) -> list[Row]:
    def transport(library: Any) -> AsyncTracingTransport:
        return AsyncTracingTransport(library.AsyncHTTPTransport(), hosts=HOSTS, tracer_provider=PROVIDER)

    options = {"api_key": "none", "base_url": url + "/v1"}
    through = httpx2.AsyncClient(transport=transport(httpx2))
    edges: list[tuple[str, Any, Callable[[Any], Awaitable[None]]]] = [
        ("trace_stream over the OpenAI SDK", openai.AsyncOpenAI(**options), openai_wrapped),
        (
            "transport below the OpenAI SDK",
            openai.AsyncOpenAI(**options, http_client=through),
            openai_plain,
        ),
        ("transport of httpx", httpx.AsyncClient(transport=transport(httpx), base_url=url), httpx_plain),
        ("transport of httpx2", httpx2.AsyncClient(transport=transport(httpx2), base_url=url), httpx_plain),
    ]
    rows = []
    for name, client, one in edges:
        errors = await errors_ns(streams, client, one)
        p99 = errors[int(len(errors) * 0.99)]
        rows.append(Row(f"{name}: median", f"{median(errors) / 1e6:.3f} ms", median(errors) / 1e6, 1))
        rows.append(Row(f"{name}: p99", f"{p99 / 1e6:.3f} ms", p99 / 1e6, 5))
        await (client.aclose() if hasattr(client, "aclose") else client.close())
    return rows


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--streams", type=int, default=500)
    arguments = options.parse_args()
    hear, tell = multiprocessing.Pipe(duplex=False)
    serving = multiprocessing.get_context("spawn").Process(target=replay, args=(tell,), daemon=True)
    serving.start()
    try:
        rows = asyncio.run(measure(f"http://127.0.0.1:{hear.recv()}", arguments.streams))
    finally:
        serving.terminate()
        serving.join()
    title = f"error of the time to first token over {arguments.streams} streams (x: of 1 ms)"
    return report(title, rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

"""How true the time to first token is at each edge, against the clock of a replay in another process.

    python tests/bench/bench_ttft.py [--json] [--streams 500] [--only openai]

The replay writes its own clock into the first token, a few milliseconds after the headers and whatever a
provider sends before any content; both processes read the same monotonic clock. What is shown is the error:
the first token as the span has it, less the moment it was sent. Part of it is the way through two sockets.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Any

import httpx
import httpx2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report
from ttft_replay import serve_forever

import firsttoken
from firsttoken._clock import wall_offset_ns
from firsttoken.httpx import AsyncTracingTransport
from firsttoken.instrumentation import instrument, uninstrument

HOSTS = ("127.0.0.1",)
MESSAGES: Any = [{"role": "user", "content": "hi"}]
ASK: dict[str, Any] = {"model": "m", "messages": MESSAGES}

EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider(shutdown_on_exit=False)
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))

Wrap = Callable[[Any], Any]
#: Reads one answer; returns when its first token was sent, on the replay's clock (ns).
Once = Callable[[Wrap], Awaitable[int]]


async def sent_ns(stream: Any, text_of: Callable[[Any], str | None]) -> int:
    """Read a stream to its end; return what its first text says."""
    first = None
    async for chunk in stream:
        first = first or text_of(chunk)
    assert first is not None
    return int(first)


def openai_chat(url: str) -> Once:
    import openai

    client = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1")

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.chat.completions.create(**ASK, stream=True))
        return await sent_ns(stream, lambda chunk: chunk.choices[0].delta.content)

    return once


def openai_responses(url: str) -> Once:
    import openai

    client = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1")

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.responses.create(model="m", input="hi", stream=True))
        return await sent_ns(
            stream, lambda event: event.delta if event.type == "response.output_text.delta" else None
        )

    return once


def anthropic_messages(url: str) -> Once:
    import anthropic

    client = anthropic.AsyncAnthropic(api_key="none", base_url=url, open_telemetry=False)

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.messages.create(**ASK, max_tokens=9, stream=True))
        return await sent_ns(
            stream, lambda event: event.delta.text if event.type == "content_block_delta" else None
        )

    return once


def groq(url: str) -> Once:
    import groq as sdk

    client = sdk.AsyncGroq(api_key="none", base_url=url)

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.chat.completions.create(**ASK, stream=True))
        return await sent_ns(stream, lambda chunk: chunk.choices[0].delta.content)

    return once


def ollama(url: str) -> Once:
    import ollama as sdk

    client = sdk.AsyncClient(host=url)

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.chat(model="m", messages=MESSAGES, stream=True))
        return await sent_ns(stream, lambda chunk: chunk.message.content)

    return once


def mistral(url: str) -> Once:
    from mistralai.client import Mistral

    client = Mistral(api_key="none", server_url=url)

    async def once(wrap: Wrap) -> int:
        async with await wrap(client.chat.stream_async(**ASK)) as stream:
            return await sent_ns(stream, lambda event: event.data.choices[0].delta.content)

    return once


def cohere(url: str) -> Once:
    import cohere as sdk

    client = sdk.AsyncClientV2(api_key="none", base_url=url)

    async def once(wrap: Wrap) -> int:
        return await sent_ns(
            wrap(client.chat_stream(**ASK)),
            lambda event: event.delta.message.content.text if event.type == "content-delta" else None,
        )

    return once


def google(url: str) -> Once:
    from google import genai

    client = genai.Client(api_key="none", http_options={"base_url": url})

    async def once(wrap: Wrap) -> int:
        stream = await wrap(client.aio.models.generate_content_stream(model="m", contents="hi"))
        return await sent_ns(stream, lambda chunk: chunk.text)

    return once


def bare(library: Any) -> Callable[[str], Once]:
    def make(url: str) -> Once:
        transport = AsyncTracingTransport(
            library.AsyncHTTPTransport(), hosts=HOSTS, tracer_provider=PROVIDER
        )
        client = library.AsyncClient(transport=transport)

        async def once(_: Wrap) -> int:
            body = b""
            address = f"{url}/v1/chat/completions"
            async with client.stream("POST", address, json={**ASK, "stream": True}) as response:
                async for piece in response.aiter_raw():
                    body += piece
            first = re.search(rb'"content": "(\d+)"', body)
            assert first is not None
            return int(first[1])

        return once

    return make


async def lateness_ns(url: str, streams: int) -> list[int]:
    """Return how late each first token is on a bare socket, which is what the machine adds by itself."""
    late = []
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(streams):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        body = b""
        while (first := re.search(rb'"content": "(\d+)"', body)) is None:
            body += await reader.read(65_536)
        late.append(monotonic_ns() - int(first[1]))
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += await reader.read(65_536)
    writer.close()
    return sorted(late)


SDKS: dict[str, Callable[[str], Once]] = {
    "openai chat": openai_chat,
    "openai responses": openai_responses,
    "anthropic": anthropic_messages,
    "google-genai": google,
    "mistralai": mistral,
    "cohere": cohere,
    "ollama": ollama,
    "groq": groq,
}


def traced(call: Any) -> Any:
    return firsttoken.trace_stream(call, tracer_provider=PROVIDER)


def untouched(call: Any) -> Any:
    return call


async def errors_ns(streams: int, once: Once, wrap: Wrap) -> list[int]:
    """Return how much later than it was sent each first token counts as arrived."""
    await once(wrap)
    assert await asyncio.to_thread(firsttoken.flush, 10)
    EXPORTER.clear()
    sent = [await once(wrap) for _ in range(streams)]
    assert await asyncio.to_thread(firsttoken.flush, 30)
    offset_ns = wall_offset_ns()
    spans = sorted(EXPORTER.get_finished_spans(), key=lambda span: span.start_time)
    assert len(spans) == streams, len(spans)
    found = []
    for span, at_ns in zip(spans, sent, strict=True):
        ttft_ns = round(span.attributes["firsttoken.time_to_first_token"] * 1e9)
        found.append(span.start_time - offset_ns + ttft_ns - at_ns)
    return sorted(found)


@contextmanager
def instrumented() -> Iterator[Wrap]:
    instrument(hosts=HOSTS, tracer_provider=PROVIDER)
    try:
        yield untouched
    finally:
        uninstrument()


async def measure(url: str, streams: int, only: str) -> list[Row]:
    rows = []

    def told(name: str, found: list[int], *bounds: float | None) -> None:
        for what, value, bound in zip(
            ("median", "p99"), (median(found), found[int(len(found) * 0.99)]), bounds, strict=True
        ):
            rows.append(Row(f"{name}: {what}", f"{value / 1e6:.3f} ms", value / 1e6, bound))

    async def row(name: str, once: Once, wrap: Wrap) -> None:
        told(name, await errors_ns(streams, once, wrap), 1, 5)

    told("a bare socket, nothing traced", await lateness_ns(url, streams), None, None)

    for name, make in SDKS.items():
        if only in name:
            await row(f"{name}, trace_stream", make(url), traced)
            with instrumented() as wrap:
                await row(f"{name}, instrument()", make(url), wrap)
    for library in (httpx, httpx2):
        if only in library.__name__:
            await row(f"transport of {library.__name__}", bare(library)(url), untouched)
    return rows


def replay(tell: Connection) -> None:
    asyncio.run(serve_forever(tell.send))


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--streams", type=int, default=500)
    options.add_argument("--only", default="", help="a word in the names of the edges to measure")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    hear, tell = multiprocessing.Pipe(duplex=False)
    serving = multiprocessing.get_context("spawn").Process(target=replay, args=(tell,), daemon=True)
    serving.start()
    try:
        url = f"http://127.0.0.1:{hear.recv()}"
        rows = asyncio.run(measure(url, arguments.streams, arguments.only))
    finally:
        serving.terminate()
        serving.join()
    title = f"error of the time to first token over {arguments.streams} streams (x: of 1 ms)"
    return report(title, rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())

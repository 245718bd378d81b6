"""Groq, Ollama, Mistral, Cohere and Google: the real SDKs through each edge, one span for each stream.

These run on asyncio alone, as some of the SDKs do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import firsttoken
from firsttoken.instrumentation import instrument, uninstrument
from tests.conftest import Traces
from tests.replay_server import ReplayServer, Reply, cut, recorded

# Their own: deprecated calls, and clients that have no way to be closed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MESSAGES: Any = [{"role": "user", "content": "hi"}]
Wrap = Callable[[Any], Any]


async def count(stream: Any) -> int:
    return len([chunk async for chunk in stream])


async def groq(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("groq", reason="needs the Groq SDK")
    async with sdk.AsyncGroq(api_key="none", base_url=url) as client:
        return await count(
            await wrap(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        )


async def ollama(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("ollama", reason="needs the Ollama SDK")
    client = sdk.AsyncClient(host=url)
    read = await count(await wrap(client.chat(model="m", messages=MESSAGES, stream=True)))
    await client._client.aclose()
    return read


async def mistral(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("mistralai.client", reason="needs the Mistral SDK")
    async with (
        sdk.Mistral(api_key="none", server_url=url) as client,
        await wrap(client.chat.stream_async(model="m", messages=MESSAGES)) as stream,
    ):
        return await count(stream)


async def cohere(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("cohere", reason="needs the Cohere SDK")
    async with sdk.AsyncClientV2(api_key="none", base_url=url) as client:
        return await count(wrap(client.chat_stream(model="m", messages=MESSAGES)))


async def google(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("google.genai", reason="needs the Google SDK")
    client = sdk.Client(api_key="none", http_options={"base_url": url})
    models = client.aio.models
    read = await count(await wrap(models.generate_content_stream(model="m", contents="hi")))
    await client.aio.aclose()
    return read


async def google_without_a_loop(url: str, wrap: Wrap) -> int:
    sdk = pytest.importorskip("google.genai", reason="needs the Google SDK")
    client = sdk.Client(api_key="none", http_options={"base_url": url})
    return len(list(wrap(client.models.generate_content_stream(model="m", contents="hi"))))


SDKS: list[tuple[Callable[[str, Wrap], Awaitable[int]], str, str]] = [
    (groq, "chat-usage-in-x-groq.sse", "text/event-stream"),
    (ollama, "ollama-chat-tools.ndjson", "application/x-ndjson"),
    (mistral, "chat-usage-after-finish.sse", "text/event-stream"),
    (cohere, "cohere-v2-text.sse", "text/event-stream"),
    (google, "gemini-crlf.sse", "text/event-stream"),
    (google_without_a_loop, "gemini-crlf.sse", "text/event-stream"),
]


@pytest.mark.parametrize("edge", ["trace_stream", "instrument", "both"])
@pytest.mark.parametrize(
    ("sdk", "body", "content_type"), SDKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_one_stream_is_one_span(
    sdk: Any, body: str, content_type: str, edge: str, server: ReplayServer, traces: Traces
) -> None:
    server.answer(Reply(cut(recorded(body)), content_type))

    def wrap(source: Any) -> Any:
        if edge == "instrument":
            return source
        return firsttoken.trace_stream(source, model="m", tracer_provider=traces.provider)

    expected = asyncio.run(sdk(server.url, lambda source: source))
    if edge != "trace_stream":
        instrument(hosts=["127.0.0.1"], tracer_provider=traces.provider)
    try:
        assert asyncio.run(sdk(server.url, wrap)) == expected > 0
    finally:
        uninstrument()
    attributes = traces.span().attributes
    assert attributes["firsttoken.outcome"] == "completed"
    assert attributes["gen_ai.usage.output_tokens"] > 0
    assert attributes["gen_ai.request.model"] == "m"
    assert "firsttoken.chunk.undecoded" not in attributes
    if edge == "both":
        assert attributes["server.port"] == server.port

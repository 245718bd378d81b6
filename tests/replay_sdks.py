"""The real SDKs of OpenAI and Anthropic, talking to a replay server, and what must come of it."""

from __future__ import annotations

from typing import Any

import pytest

import firsttoken
from firsttoken.httpx import AsyncTracingTransport, TracingTransport
from tests.conftest import Traces
from tests.replay_server import ReplayServer, Reply, recorded, sse_pieces

openai = pytest.importorskip("openai", reason="needs the OpenAI SDK")
anthropic = pytest.importorskip("anthropic", reason="needs the Anthropic SDK")
httpx2 = pytest.importorskip("httpx2", reason="the SDKs are built on it")

#: Long enough to be in nothing else by chance, such as a packed timeline.
QUESTION = "What is the time?"
ASK = {"model": "asked-model", "messages": [{"role": "user", "content": QUESTION}]}
ASK_ANTHROPIC = {**ASK, "max_tokens": 64}
CHAT, RESPONSES, MESSAGES = (
    "chat-usage-after-finish.sse",
    "responses-text.sse",
    "anthropic-thinking-tools.sse",
)
HOSTS = ("127.0.0.1",)


def serve(server: ReplayServer, name: str, **options: Any) -> None:
    server.answer(Reply(sse_pieces(recorded(name)), **options))


def openai_client(server: ReplayServer, traces: Traces | None = None, **options: Any) -> Any:
    if traces is not None:
        transport = TracingTransport(httpx2.HTTPTransport(), hosts=HOSTS, tracer_provider=traces.provider)
        options["http_client"] = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="none", base_url=server.url + "/v1", **options)


def async_openai_client(server: ReplayServer, traces: Traces | None = None, **options: Any) -> Any:
    if traces is not None:
        transport = AsyncTracingTransport(
            httpx2.AsyncHTTPTransport(), hosts=HOSTS, tracer_provider=traces.provider
        )
        options["http_client"] = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(api_key="none", base_url=server.url + "/v1", **options)


def anthropic_client(server: ReplayServer, traces: Traces | None = None) -> Any:
    options: dict[str, Any] = {"open_telemetry": False}
    if traces is not None:
        transport = TracingTransport(httpx2.HTTPTransport(), hosts=HOSTS, tracer_provider=traces.provider)
        options["http_client"] = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="none", base_url=server.url, **options)


def async_anthropic_client(server: ReplayServer, traces: Traces | None = None, **options: Any) -> Any:
    options.setdefault("open_telemetry", False)
    if traces is not None:
        transport = AsyncTracingTransport(
            httpx2.AsyncHTTPTransport(), hosts=HOSTS, tracer_provider=traces.provider
        )
        options["http_client"] = httpx2.AsyncClient(transport=transport)
    return anthropic.AsyncAnthropic(api_key="none", base_url=server.url, **options)


def wrap(source: Any, traces: Traces, **options: Any) -> Any:
    return firsttoken.trace_stream(source, tracer_provider=traces.provider, **options)


def check_chat(span: Any, chunks: int = 3) -> None:
    attributes = span.attributes
    assert attributes["firsttoken.outcome"] == "completed"
    assert attributes["gen_ai.usage.output_tokens"] == 2
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["firsttoken.chunk.count"] >= chunks


def check_messages(span: Any) -> None:
    attributes = span.attributes
    assert attributes["firsttoken.outcome"] == "completed"
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert attributes["gen_ai.usage.output_tokens"] > 0

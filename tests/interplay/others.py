"""One call through each of our edges with somebody else's instrumentation on the same client.

    python -m tests.interplay.others NAME

Run in a process of its own: what they patch they do not wholly unpatch. Prints, edge by edge, as JSON, who
told the call in the words of a GenAI span, and who made any span at all.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from firsttoken import semconv
from firsttoken.httpx import AsyncTracingTransport
from firsttoken.instrumentation import instrument, uninstrument
from tests.conftest import Traces
from tests.replay_sdks import (
    ASK,
    ASK_ANTHROPIC,
    CHAT,
    HOSTS,
    MESSAGES,
    async_anthropic_client,
    async_openai_client,
    serve,
    wrap,
)
from tests.replay_server import ReplayServer

EDGES = ("transport", "instrument", "trace_stream", "trace_stream of an open stream", "both")


def _instrumentor(module: str, name: str) -> Callable[[Traces], None]:
    def begin(traces: Traces) -> None:
        made = getattr(__import__(module, fromlist=[name]), name)()
        made.instrument(tracer_provider=traces.provider, skip_dep_check=True)

    return begin


def _logfire(traces: Traces) -> None:
    import logfire

    processor = SimpleSpanProcessor(traces.exporter)
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[processor])
    logfire.instrument_openai()
    logfire.instrument_anthropic()


def _nothing(traces: Traces) -> None:
    pass


#: Name -> (package, what begins it, whose client is called).
OTHERS: dict[str, tuple[str, Callable[[Traces], None], str]] = {
    "official, OpenAI": (
        "opentelemetry-instrumentation-genai-openai",
        _instrumentor("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
        "openai",
    ),
    "official before, OpenAI": (
        "opentelemetry-instrumentation-openai-v2",
        _instrumentor("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor"),
        "openai",
    ),
    "official, Anthropic": (
        "opentelemetry-instrumentation-genai-anthropic",
        _instrumentor("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor"),
        "anthropic",
    ),
    "OpenLLMetry, OpenAI": (
        "opentelemetry-instrumentation-openai",
        _instrumentor("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
        "openai",
    ),
    "OpenLLMetry, Anthropic": (
        "opentelemetry-instrumentation-anthropic",
        _instrumentor("opentelemetry.instrumentation.anthropic", "AnthropicInstrumentor"),
        "anthropic",
    ),
    "OpenInference, OpenAI": (
        "openinference-instrumentation-openai",
        _instrumentor("openinference.instrumentation.openai", "OpenAIInstrumentor"),
        "openai",
    ),
    "OpenInference, Anthropic": (
        "openinference-instrumentation-anthropic",
        _instrumentor("openinference.instrumentation.anthropic", "AnthropicInstrumentor"),
        "anthropic",
    ),
    "Logfire, OpenAI": ("logfire", _logfire, "openai"),
    "Logfire, Anthropic": ("logfire", _logfire, "anthropic"),
    "Anthropic's SDK itself": ("anthropic", _nothing, "anthropic itself"),
    "Mistral's SDK itself": ("mistralai", _nothing, "mistral itself"),
    "nobody, OpenAI": ("openai", _nothing, "openai"),
    "nobody, Anthropic": ("anthropic", _nothing, "anthropic"),
}


async def _call(server: ReplayServer, traces: Traces, edge: str, client_of: str) -> int:
    """Read one answer; return how many chunks it had."""
    through = traces if edge in ("transport", "both") else None
    if client_of == "openai":
        async with async_openai_client(server, through) as client:
            return await _read(client.chat.completions.create(**ASK, stream=True), traces, edge)
    if client_of == "mistral itself":
        return await _call_mistral(server, traces, edge)
    options: dict[str, Any] = {}
    if client_of.endswith("itself"):
        options["open_telemetry"] = {"tracer_provider": traces.provider}
    async with async_anthropic_client(server, through, **options) as client:
        return await _read(client.messages.create(**ASK_ANTHROPIC, stream=True), traces, edge)


async def _call_mistral(server: ReplayServer, traces: Traces, edge: str) -> int:
    from mistralai.client import Mistral
    from mistralai.extra.observability.telemetry import configure_telemetry

    inner = httpx2.AsyncHTTPTransport()
    through: Any = inner
    if edge in ("transport", "both"):
        through = AsyncTracingTransport(inner, hosts=HOSTS, tracer_provider=traces.provider)
    async with httpx2.AsyncClient(transport=through) as http:
        client = Mistral(api_key="none", server_url=server.url, async_client=http)
        configure_telemetry(client, traces.provider, redaction=False)
        return await _read(client.chat.stream_async(**ASK), traces, edge)


async def _read(call: Any, traces: Traces, edge: str) -> int:
    if edge == "trace_stream of an open stream":
        stream = wrap(await call, traces)
    else:
        stream = await (wrap(call, traces) if edge in ("trace_stream", "both") else call)
    return len([chunk async for chunk in stream])


def _tells_a_call(span: Any) -> bool:
    attributes = span.attributes
    if attributes.get("logfire.span_type") == "log":
        return False
    is_call = attributes.get(semconv.OPERATION_NAME) in semconv.INFERENCE_OPERATIONS
    return is_call or attributes.get("openinference.span.kind") == "LLM"


def main(name: str) -> None:
    warnings.simplefilter("ignore")
    _, begin, client_of = OTHERS[name]
    traces, told = Traces(), {}
    begin(traces)
    for edge in EDGES:
        with ReplayServer().serving() as server:
            serve(server, MESSAGES if client_of.startswith("anthropic") else CHAT)
            if edge == "instrument":
                instrument(hosts=HOSTS, tracer_provider=traces.provider)
            chunks = anyio.run(_call, server, traces, edge, client_of)
            uninstrument()
        spans = traces.spans()
        traces.exporter.clear()
        told[edge] = {
            "chunks": chunks,
            "calls": [span.instrumentation_scope.name for span in spans if _tells_a_call(span)],
            "ours": [span.attributes.get("firsttoken.outcome") for span in spans if _is_ours(span)],
            "usage": sum(semconv.OUTPUT_TOKENS in span.attributes for span in spans if _is_ours(span)),
        }
    print(json.dumps(told))


def _is_ours(span: Any) -> bool:
    return bool(span.instrumentation_scope.name == "firsttoken")


if __name__ == "__main__":
    main(sys.argv[1])

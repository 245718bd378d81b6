"""Several layers on one call: exactly one of them tells it."""

from __future__ import annotations

import gc
import threading
from collections.abc import AsyncIterator

import pytest
from opentelemetry import context as otel_context

from firsttoken.instrumentation import instrument, uninstrument
from tests.conftest import Traces
from tests.replay_sdks import (
    ASK,
    ASK_ANTHROPIC,
    CHAT,
    HOSTS,
    MESSAGES,
    anthropic_client,
    async_openai_client,
    check_chat,
    check_messages,
    openai,
    openai_client,
    serve,
    wrap,
)
from tests.replay_server import ReplayServer, Reply, recorded, sse_pieces

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


# --- two of our own edges on one stream ------------------------------------------------------------


@pytest.mark.anyio
async def test_a_call_that_is_traced_teaches_the_stream_above(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server, traces) as client:
        call = client.chat.completions.create(**ASK, stream=True, temperature=0.25)
        async for _ in await wrap(call, traces):
            pass
    span = traces.span()
    check_chat(span)
    assert span.attributes["gen_ai.request.temperature"] == 0.25
    assert span.attributes["gen_ai.request.model"] == "asked-model"
    assert span.attributes["server.port"] == server.port


@pytest.mark.anyio
async def test_a_stream_that_was_open_already_is_told_by_its_transport(
    server: ReplayServer, traces: Traces
) -> None:
    serve(server, CHAT)
    async with async_openai_client(server, traces) as client:
        stream = await client.chat.completions.create(**ASK, stream=True)
        traced = wrap(stream, traces, model="mine", attributes={"team": "search"})
        assert isinstance(traced, openai.AsyncStream)
        async with traced as entered:
            assert entered is traced
            chunks = [chunk async for chunk in traced]
    assert len(chunks) > 2
    span = traces.span()
    check_chat(span)
    assert span.name == "chat mine"
    assert span.attributes["team"] == "search"
    assert traced.summary.output_tokens == 2
    assert traced.span_id == f"{span.context.span_id:016x}"


def test_a_stream_without_a_loop_is_told_by_its_transport(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    with anthropic_client(server, traces) as client:
        with client.messages.stream(**ASK_ANTHROPIC) as stream:
            message = wrap(stream, traces).get_final_message()
        with wrap(client.messages.stream(**ASK_ANTHROPIC), traces) as stream:
            assert stream.get_final_message() == message
    assert len(traces.spans()) == 2
    for span in traces.spans():
        check_messages(span)


def test_retries_of_an_sdk_are_a_span_each(
    server: ReplayServer, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Reply([b"{}"], "application/json", status=503, headers={"retry-after-ms": "1"})
    server.answer(refused, Reply(sse_pieces(recorded(CHAT))))
    with openai_client(server, traces, max_retries=2) as client:
        list(client.chat.completions.create(**ASK, stream=True))
    first, second = traces.spans()
    assert first.attributes["error.type"] == "503"
    assert second.attributes["http.request.resend_count"] == 1
    check_chat(second)


def test_retries_below_a_traced_call_are_counted_on_its_span(server: ReplayServer, traces: Traces) -> None:
    refused = Reply([b"{}"], "application/json", status=503, headers={"retry-after-ms": "1"})
    server.answer(refused, Reply(sse_pieces(recorded(CHAT))))
    with openai_client(server, traces, max_retries=2) as client:
        create = client.chat.completions.with_streaming_response.create
        with wrap(create(**ASK, stream=True), traces) as response:
            list(response.parse())
    assert traces.span().attributes["http.request.resend_count"] == 1


@pytest.mark.anyio
async def test_a_stream_dropped_by_its_reader_is_told(server: ReplayServer, traces: Traces) -> None:
    gate = threading.Event()
    serve(server, CHAT, gates={2: gate})
    async with async_openai_client(server, traces) as client:
        stream = await client.chat.completions.create(**ASK, stream=True)
        async for _ in stream:
            break
        await stream.close()
        gate.set()
        del stream
        gc.collect()
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"


# --- others on the same client; each by name in test_others ----------------------------------------


async def consume(server: ReplayServer, traces: Traces, edge: str) -> None:
    """Read one answer through the OpenAI SDK with an edge of ours: a transport, or `instrument`."""
    if edge == "instrument":
        instrument(hosts=HOSTS, tracer_provider=traces.provider)
    try:
        async with async_openai_client(server, traces if edge == "transport" else None) as client:
            call = client.chat.completions.create(**ASK, stream=True)
            async for _ in await (wrap(call, traces) if edge == "trace_stream" else call):
                pass
    finally:
        uninstrument()


def scopes(traces: Traces) -> list[str]:
    return sorted(span.instrumentation_scope.name for span in traces.spans())


@pytest.mark.anyio
@pytest.mark.parametrize("edge", ["transport", "instrument"])
async def test_the_conventions_own_mark_is_honoured(
    edge: str, server: ReplayServer, traces: Traces
) -> None:
    handler = pytest.importorskip(
        "opentelemetry.util.genai.handler", reason="needs opentelemetry-util-genai"
    )
    serve(server, CHAT)
    telemetry = handler.TelemetryHandler(tracer_provider=traces.provider)
    with telemetry.inference("openai", request_model="asked-model"):
        await consume(server, traces, edge)
    (span,) = traces.spans()
    assert span.instrumentation_scope.name.startswith("opentelemetry.util.genai")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "key",
    [
        "suppress_instrumentation",
        "suppress_language_model_instrumentation",
        pytest.param(otel_context._SUPPRESS_INSTRUMENTATION_KEY, id="the key of this process"),
    ],
)
async def test_a_suppressed_call_is_not_told(key: str, server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    token = otel_context.attach(otel_context.set_value(key, True))
    try:
        await consume(server, traces, "transport")
    finally:
        otel_context.detach(token)
    assert traces.spans() == ()


@pytest.mark.anyio
@pytest.mark.parametrize("edge", ["transport", "instrument"])
async def test_opentelemetrys_own_suppression_is_honoured(
    edge: str, server: ReplayServer, traces: Traces
) -> None:
    utils = pytest.importorskip("opentelemetry.instrumentation.utils", reason="needs instrumentations")
    serve(server, CHAT)
    with utils.suppress_instrumentation():
        await consume(server, traces, edge)
    assert traces.spans() == ()


@pytest.mark.anyio
async def test_while_a_stream_is_traced_only_instrumentations_of_sdks_are_suppressed(
    traces: Traces,
) -> None:
    utils = pytest.importorskip("opentelemetry.instrumentation.utils", reason="needs instrumentations")
    seen = []

    async def source() -> AsyncIterator[str]:
        asked = {"get_value": otel_context.get_value, "key": otel_context._SUPPRESS_INSTRUMENTATION_KEY}
        for module in ("openinference.instrumentation.openai._request", "my.sdk"):
            scope = {"__name__": module, **asked}
            exec("def is_silent(): return bool(get_value(key))", scope)
            seen.append(scope["is_silent"]())
        seen.append(utils.is_instrumentation_enabled())
        yield "a"

    async for _ in wrap(source(), traces):
        pass
    assert seen == [True, False, True]


@pytest.mark.anyio
@pytest.mark.parametrize("edge", ["transport", "instrument", "trace_stream"])
async def test_the_http_span_of_the_contrib_instrumentation_is_in_the_same_trace(
    edge: str, server: ReplayServer, traces: Traces
) -> None:
    theirs = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs contrib's httpx")
    serve(server, CHAT)
    theirs.HTTPX2ClientInstrumentor().instrument(tracer_provider=traces.provider, skip_dep_check=True)
    try:
        await consume(server, traces, edge)
    finally:
        theirs.HTTPX2ClientInstrumentor().uninstrument()
    ours, http = sorted(traces.spans(), key=lambda span: span.instrumentation_scope.name)
    assert ours.instrumentation_scope.name == "firsttoken"
    assert ours.context.trace_id == http.context.trace_id
    check_chat(ours)

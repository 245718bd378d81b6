"""Calls to models: what their spans say, what is left alone, and who is told the trace."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import firsttoken
from firsttoken._guard import fault_counts
from firsttoken._wrap import calls as _calls
from firsttoken.httpx import AsyncTracingTransport, TracingTransport
from tests.conftest import Traces
from tests.replay_clients import (
    BODY,
    CHAT,
    HOSTS,
    LIBRARIES,
    chat_reply,
    configured,
    open_async,
    open_sync,
    url,
)
from tests.replay_server import ReplayServer, Reply, cut, recorded, sse_pieces


@pytest.fixture
def server(server: ReplayServer) -> ReplayServer:
    server.answer(chat_reply())
    return server


# --- what a span says ------------------------------------------------------------------------------


@LIBRARIES
def test_a_span_says_what_was_asked_of_whom_and_nothing_of_the_content(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    asked = {
        **BODY,
        "temperature": 0.5,
        "max_tokens": 64,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END"],
        "n": 2,
    }
    headers = {"authorization": "Bearer my secret", "x-api-key": "my secret"}
    with open_sync(library, traces, hosts={"127.0.0.1": "acme"}) as client:
        client.post(url(server) + "?key=my+secret", json=asked, headers=headers)
    span = traces.span()
    assert span.name == "chat gpt-x"
    assert span.kind is trace.SpanKind.CLIENT
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
    }
    assert {key: span.attributes[key] for key in expected} == expected
    assert "secret" not in span.to_json()


ANSWER = (
    b'{"id": "1", "model": "gpt-x-1", "object": "chat.completion", "choices": [{"index": 0, "message":'
    b' {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],'
    b' "usage": {"prompt_tokens": 3, "completion_tokens": 5}}'
)


@LIBRARIES
@pytest.mark.anyio
async def test_a_call_that_asks_for_no_stream_has_its_span_too(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    server.answer(Reply(cut(ANSWER, 50), "application/json"))
    async with open_async(library, traces) as client:
        response = await client.post(url(server), json={"model": "gpt-x", "messages": []})
    assert response.content == ANSWER
    attributes = traces.span().attributes
    assert attributes["firsttoken.outcome"] == "completed"
    assert attributes["gen_ai.request.stream"] is False
    assert attributes["gen_ai.response.model"] == "gpt-x-1"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.output_tokens"] == 5


@LIBRARIES
def test_a_stall_in_the_body_is_the_providers(library: Any, server: ReplayServer, traces: Traces) -> None:
    gate = threading.Event()
    pieces = sse_pieces(recorded("chat-role-first.sse"))
    server.answer(Reply(pieces, gates={2: gate}))
    with configured(stall_threshold_s=1e-6):
        with (
            open_sync(library, traces) as client,
            client.stream("POST", url(server), json=BODY) as response,
        ):
            for _ in response.iter_bytes():
                gate.set()
        stalls = [event for event in traces.span().events if event.name == "firsttoken.stall"]
    assert stalls
    assert {stall.attributes["firsttoken.stall.cause"] for stall in stalls} <= {"provider", "consumer"}


@LIBRARIES
def test_attempts_of_an_sdk_are_told_apart(library: Any, server: ReplayServer, traces: Traces) -> None:
    server.answer(Reply([b"{}"], "application/json", status=503), chat_reply())
    with open_sync(library, traces) as client:
        client.post(url(server), json=BODY, headers={"x-stainless-retry-count": "0"})
        client.post(url(server), json=BODY, headers={"x-stainless-retry-count": "1"})
    first, second = traces.spans()
    assert first.attributes["error.type"] == "503"
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["firsttoken.outcome"] == "completed"


@LIBRARIES
def test_a_stream_from_an_endpoint_nobody_knows_is_told_and_other_answers_are_not(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    with open_sync(library, traces) as client:
        client.post(url(server, "/v9/surprise"), json=BODY)
        server.answer(Reply([b'{"data": []}'], "application/json"))
        client.get(url(server, "/v1/models"))
        client.post(url(server, "/v1/embeddings"), json={"model": "e", "input": "x"})
    span = traces.span()
    assert span.name == "chat gpt-x"
    assert span.attributes["firsttoken.outcome"] == "completed"


# --- what is left alone ----------------------------------------------------------------------------


@LIBRARIES
@pytest.mark.anyio
async def test_other_traffic_passes_with_the_transports_own_response(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    made: list[Any] = []

    class Transport(library.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            response = await super().handle_async_request(request)
            made.append((response, response.stream, dict(request.headers)))
            return response

    transport = AsyncTracingTransport(Transport(), tracer_provider=traces.provider)
    request = library.Request("POST", url(server), json=BODY)
    response = await transport.handle_async_request(request)
    ((original, stream, headers),) = made
    assert response is original
    assert response.stream is stream
    assert "traceparent" not in headers
    assert "firsttoken" not in response.extensions
    await response.aread()
    await transport.aclose()
    assert traces.spans() == ()


@LIBRARIES
def test_an_unsampled_call_passes_with_the_transports_own_body(library: Any, server: ReplayServer) -> None:
    traces = Traces()
    traces.provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    bodies: list[Any] = []

    class Transport(library.HTTPTransport):  # type: ignore[misc, name-defined]
        def handle_request(self, request: Any) -> Any:
            response = super().handle_request(request)
            bodies.append(response.stream)
            return response

    transport = TracingTransport(Transport(), hosts=HOSTS, tracer_provider=traces.provider)
    response = transport.handle_request(library.Request("POST", url(server), json=BODY))
    assert response.stream is bodies[0]
    response.read()
    transport.close()


@LIBRARIES
def test_a_response_that_is_at_hand_already_is_told(library: Any, traces: Traces) -> None:
    mock = library.MockTransport(lambda request: library.Response(200, content=ANSWER))
    transport = TracingTransport(mock, hosts=["model.test"], tracer_provider=traces.provider)
    with library.Client(transport=transport) as client:
        response = client.post("http://model.test/v1/chat/completions", json={"model": "m"})
    assert response.content == ANSWER
    assert traces.span().attributes["gen_ai.usage.output_tokens"] == 5


@LIBRARIES
def test_a_response_dropped_without_a_close_is_told(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    transport = TracingTransport(library.HTTPTransport(), hosts=HOSTS, tracer_provider=traces.provider)
    response = transport.handle_request(library.Request("POST", url(server), json=BODY))
    assert response.status_code == 200
    del response
    gc.collect()
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"
    transport.close()


@LIBRARIES
@pytest.mark.anyio
async def test_a_layer_above_that_tells_the_call_learns_from_the_transport(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    async def words(client: Any) -> Any:
        async with client.stream("POST", url(server), json={**BODY, "seed": 3}) as response:
            async for line in response.aiter_lines():
                yield line

    async with open_async(library, traces, hosts={"127.0.0.1": "acme"}) as client:
        stream = firsttoken.trace_stream(words(client), model="mine", tracer_provider=traces.provider)
        async for _ in stream:
            pass
    span = traces.span()
    assert span.name == "chat mine"
    assert span.attributes["gen_ai.request.model"] == "mine"
    assert span.attributes["gen_ai.request.seed"] == 3
    assert span.attributes["server.port"] == server.port
    (received,) = server.received
    assert received.headers["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"


@LIBRARIES
def test_a_span_of_the_call_by_another_instrumentation_is_not_doubled(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    tracer = traces.provider.get_tracer("another")
    attributes = {"gen_ai.operation.name": "chat"}
    with (
        open_sync(library, traces) as client,
        tracer.start_as_current_span("chat", kind=trace.SpanKind.CLIENT, attributes=attributes),
    ):
        client.post(url(server), json=BODY)
    assert [span.instrumentation_scope.name for span in traces.spans()] == ["another"]


@LIBRARIES
def test_an_agents_span_is_the_parent(library: Any, server: ReplayServer, traces: Traces) -> None:
    tracer = traces.provider.get_tracer("another")
    attributes = {"gen_ai.operation.name": "invoke_agent"}
    with (
        open_sync(library, traces) as client,
        tracer.start_as_current_span("agent", attributes=attributes) as agent,
    ):
        client.post(url(server), json=BODY)
    call = next(span for span in traces.spans() if span.name == "chat gpt-x")
    assert call.parent.span_id == agent.get_span_context().span_id


# --- the trace that goes along ---------------------------------------------------------------------


@LIBRARIES
def test_a_loopback_host_is_told_the_trace(library: Any, server: ReplayServer, traces: Traces) -> None:
    with open_sync(library, traces) as client:
        client.post(url(server), json=BODY)
        client.post(url(server), json=BODY, headers={"traceparent": "00-own"})
    ours, theirs = server.received
    span = traces.spans()[0]
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert ours.headers["traceparent"].startswith(expected)
    assert theirs.headers["traceparent"] == "00-own"


def headers_at(library: Any, traces: Traces, address: str, **options: Any) -> Any:
    got: list[Any] = []

    def handle(request: Any) -> Any:
        got.append(dict(request.headers))
        return library.Response(200, content=ANSWER)

    transport = TracingTransport(library.MockTransport(handle), tracer_provider=traces.provider, **options)
    with library.Client(transport=transport) as client:
        client.post(address, json=BODY)
    return got[0]


@LIBRARIES
def test_no_other_host_is_told_the_trace_unless_allowed(library: Any, traces: Traces) -> None:
    address = "https://api.openai.com/v1/chat/completions"
    assert "traceparent" not in headers_at(library, traces, address)
    assert "traceparent" in headers_at(library, traces, address, propagate_to=["*.openai.com"])
    own = {"hosts": ["10.0.0.9"], "propagate_to": ()}
    assert "traceparent" not in headers_at(library, traces, "http://10.0.0.9/v1/chat/completions", **own)
    assert [span.attributes["gen_ai.provider.name"] for span in traces.spans()[:2]] == ["openai"] * 2


# --- faults and arguments --------------------------------------------------------------------------


@LIBRARIES
def test_a_fault_of_ours_does_not_touch_the_request(
    library: Any, server: ReplayServer, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(_calls, "request_facts", broken)
    before = fault_counts().get("look at a request", 0)
    with open_sync(library, traces) as client:
        assert client.post(url(server), json=BODY).content == recorded(CHAT)
    assert fault_counts()["look at a request"] == before + 1
    assert traces.spans() == ()

"""Calls that pass two edges, are sent again or elsewhere: each told once, by its own trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import firsttoken
from firsttoken.httpx import AsyncTracingTransport, TracingTransport
from tests.conftest import Traces
from tests.replay_clients import BODY, CHAT, LIBRARIES, open_sync, url
from tests.replay_server import ReplayServer, Reply, recorded, sse_pieces

MODEL = "http://model.test/v1/chat/completions"
Answer = Callable[[Any], Any]


def traced_mock(library: Any, traces: Traces, answer: Answer, **options: Any) -> Any:
    """Return a transport that answers calls to model.test without a network."""
    options = {"hosts": ["*.test"], "tracer_provider": traces.provider} | options
    return TracingTransport(library.MockTransport(answer), **options)


def event_stream(library: Any, status: int = 200, **headers: str) -> Any:
    headers["content-type"] = "text/event-stream"
    return library.Response(status, headers=headers, stream=library.ByteStream(b"data: x\n\n"))


def traceparent_of(span: Any) -> str:
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"


@LIBRARIES
def test_a_call_that_only_its_answer_shows_is_told_once_by_two_transports(
    library: Any, traces: Traces
) -> None:
    inner = traced_mock(library, traces, lambda _: event_stream(library))
    outer = TracingTransport(inner, hosts=["*.test"], tracer_provider=traces.provider)
    with library.Client(transport=outer) as client:
        assert client.post("http://model.test/agent/answer", json=BODY).content == b"data: x\n\n"
    assert traces.span().attributes["firsttoken.chunk.count"] == 1


@LIBRARIES
@pytest.mark.anyio
async def test_so_it_is_by_two_async_transports(library: Any, traces: Traces) -> None:
    def twice(transport: Any) -> Any:
        for _ in range(2):
            transport = AsyncTracingTransport(transport, hosts=["*.test"], tracer_provider=traces.provider)
        return transport

    mock = library.MockTransport(lambda _: event_stream(library))
    async with library.AsyncClient(transport=twice(mock)) as client:
        await client.post("http://model.test/agent/answer", json=BODY)
    assert traces.span().attributes["firsttoken.chunk.count"] == 1


@LIBRARIES
def test_polling_for_a_run_is_no_call(library: Any, traces: Traces) -> None:
    transport = traced_mock(library, traces, lambda _: library.Response(200, json={"status": "queued"}))
    with library.Client(transport=transport) as client:
        client.get("http://model.test/v1/threads/t/runs/r")
        client.get("http://model.test/v1/threads/t/runs")
        client.post("http://model.test/v1/threads/t/messages", json={})
    assert traces.spans() == ()


@LIBRARIES
def test_each_attempt_with_one_request_tells_its_own_span(library: Any, traces: Traces) -> None:
    told: list[str] = []

    def answer(request: Any) -> Any:
        told.append(request.headers["traceparent"])
        return event_stream(library, 200 if len(told) > 1 else 503)

    transport = traced_mock(library, traces, answer, propagate_to=["*.test"])
    request = library.Request("POST", MODEL, json=BODY)
    before = dict(request.headers)
    for _ in range(2):
        transport.handle_request(request).read()
        assert dict(request.headers) == before
    assert [header[:-3] for header in told] == [traceparent_of(span) for span in traces.spans()]


@LIBRARIES
def test_a_request_that_fails_keeps_no_trace_and_one_with_its_own_keeps_that(
    library: Any, traces: Traces
) -> None:
    def fail(request: Any) -> Any:
        assert "traceparent" in request.headers
        raise library.ConnectError("refused")

    transport = traced_mock(library, traces, fail, propagate_to=["*.test"])
    for own in ({}, {"traceparent": "00-own", "tracestate": "mine=1"}):
        request = library.Request("POST", MODEL, json=BODY, headers=own)
        before = dict(request.headers)
        with pytest.raises(library.ConnectError):
            transport.handle_request(request)
        assert dict(request.headers) == before


@LIBRARIES
def test_a_redirect_takes_no_trace_to_a_host_that_may_not_know_and_completes_nothing(
    library: Any, traces: Traces
) -> None:
    told: dict[str, Any] = {}

    def answer(request: Any) -> Any:
        told[request.url.host] = request.headers.get("traceparent")
        if request.url.host == "model.test":
            return library.Response(307, headers={"location": "http://other.test/v1/chat/completions"})
        return event_stream(library)

    transport = traced_mock(library, traces, answer, propagate_to=["model.test"])
    with library.Client(transport=transport, follow_redirects=True) as client:
        assert client.post(MODEL, json=BODY).status_code == 200
    assert told["model.test"] is not None
    assert told["other.test"] is None
    redirected, answered = traces.spans()
    assert redirected.attributes["firsttoken.outcome"] == "failed"
    assert redirected.attributes["error.type"] == "307"
    assert answered.attributes["firsttoken.outcome"] == "completed"


@LIBRARIES
def test_a_call_that_a_stream_above_tells_keeps_no_trace_either(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    server.answer(Reply(sse_pieces(recorded(CHAT))))
    headers = []

    def chunks() -> Any:
        with open_sync(library, traces) as client:
            response = client.post(url(server), json=BODY)
            headers.append(response.request.headers)
            yield response.content

    assert list(firsttoken.trace_stream(chunks(), tracer_provider=traces.provider)) == [recorded(CHAT)]
    (received,) = server.received
    assert received.headers["traceparent"].startswith(traceparent_of(traces.span()))
    assert "traceparent" not in headers[0]

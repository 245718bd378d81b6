"""The middleware on applications driven in memory: what passes, what is told, on every event loop."""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.trace import SpanKind

import firsttoken
from firsttoken.asgi import StreamTraceMiddleware, sse_error_event
from firsttoken.asgi import _exchange as _asgi_exchange
from firsttoken.asgi import _stream as _asgi_stream
from firsttoken.testing import SourceError
from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import ScriptedApp, outcomes, server_and_stream, traced, words
from tests.conftest import Traces
from tests.scenes import ManualClock

pytestmark = pytest.mark.anyio

EVENT_STREAM = [(b"content-type", b"text/event-stream")]


async def read(app: Any, path: str = "/", **options: Any) -> bytes:
    async with StreamingAsgiClient(app).stream(path, **options) as response:
        return await response.aread()


# --- what passes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_as_the_objects_they_are(kind: str, traces: Traces) -> None:
    app = ScriptedApp()
    asked: Any = ({"type": kind}, object(), object())
    await traced(app, traces)(*asked)
    assert app.asked is not None
    assert all(got is given for got, given in zip(app.asked, asked, strict=True))
    assert asked[0] == {"type": kind}


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/jsonl", "text/html"])
async def test_messages_are_the_identical_objects(content_type: str, traces: Traces) -> None:
    app = ScriptedApp(*words("a", "b"), content_type=content_type)
    async with StreamingAsgiClient(traced(app, traces)).stream() as response:
        await response.aread()
    assert len(app.sent) == 5
    assert all(got is sent for got, sent in zip(response.messages, app.sent, strict=True))


async def test_what_does_not_stream_leaves_no_trace_but_its_server_span(traces: Traces) -> None:
    app = ScriptedApp(b"<p>", b"</p>", content_type="text/html")
    assert await read(traced(app, traces)) == b"<p></p>"
    server = traces.span()
    assert server.kind is SpanKind.SERVER
    assert not any(key.startswith("firsttoken.") for key in server.attributes)


async def test_a_fault_of_ours_never_reaches_the_response() -> None:
    class Broken:
        def get_tracer(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no tracer today")

    app = StreamTraceMiddleware(ScriptedApp(b"a", b"b"), tracer_provider=Broken())  # type: ignore[arg-type]
    assert await read(app) == b"ab"


# --- what streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    ["text/event-stream; charset=utf-8", "application/x-ndjson", "application/jsonl", "Application/JSONL"],
)
async def test_a_streaming_response_is_one_server_span_and_one_stream_span(
    content_type: str, traces: Traces
) -> None:
    bodies = [b'{"text": "a"}\n', b'{"text": "b"}\n']
    if "event-stream" in content_type:
        bodies = [b"data: " + body + b"\n" for body in bodies]
    await read(traced(ScriptedApp(*bodies, content_type=content_type), traces), "/chat")
    server, stream = server_and_stream(traces)
    size = sum(map(len, bodies))
    for span in (server, stream):
        assert span.attributes["firsttoken.outcome"] == "completed"
        assert span.attributes["firsttoken.chunk.count"] == 2
        assert span.attributes["firsttoken.body.size"] == size
    assert server.attributes["firsttoken.time_to_first_byte"] > 0
    assert stream.kind is SpanKind.INTERNAL
    assert "gen_ai.operation.name" not in stream.attributes
    assert stream.start_time <= stream.events[0].timestamp


async def test_other_bodies_stream_only_once_asked_to(traces: Traces) -> None:
    await read(traced(ScriptedApp(b"a", content_type="text/html"), traces, all_bodies=True))
    await read(traced(ScriptedApp(b"a", content_type="text/x-own"), traces, content_types=["text/x-own"]))
    await read(traced(ScriptedApp(content_type="text/html"), traces, all_bodies=True))  # one message only
    assert [span.name for span in traces.spans() if span.kind is not SpanKind.SERVER] == ["http.stream"] * 2


@pytest.mark.parametrize("count", [10, 10_000])
async def test_span_count_does_not_depend_on_the_number_of_chunks(count: int, traces: Traces) -> None:
    await read(traced(ScriptedApp(*words(*["x"] * (count - 1))), traces))
    _, stream = server_and_stream(traces)
    assert len(traces.spans()) == 2
    assert stream.attributes["firsttoken.chunk.count"] == count


async def test_keepalive_comments_are_no_tokens(traces: Traces) -> None:
    await read(traced(ScriptedApp(b": ping\n\n", b": ping\n\n", *words("a")), traces))
    _, stream = server_and_stream(traces)
    (first_token,) = [event for event in stream.events if event.name == "firsttoken.first_token"]
    assert first_token.attributes["firsttoken.sequence"] == 2


async def test_a_relayed_answer_does_not_claim_the_call_to_the_model(traces: Traces) -> None:
    relayed = (
        b'data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":'
        b'{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    )
    await read(traced(ScriptedApp(relayed, b"data: [DONE]\n\n"), traces))
    _, stream = server_and_stream(traces)
    claims = ("gen_ai.usage", "gen_ai.provider", "gen_ai.response.id", "gen_ai.response.model")
    assert not [key for key in stream.attributes if key.startswith(claims)]
    assert any(event.name == "firsttoken.done" for event in stream.events)


async def test_waiting_is_for_the_application_and_hold_is_the_clients(
    traces: Traces, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_asgi_exchange, _asgi_stream):
        monkeypatch.setattr(module, "monotonic_ns", clock)

    async def think(_: int) -> None:
        clock.advance(3)

    async def send(message: Any) -> None:
        if message.get("body"):
            clock.advance(0.5)

    async def receive() -> Any:
        raise AssertionError("nobody asks")

    app = traced(ScriptedApp(*words("a"), between=think), traces)
    await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    server, stream = server_and_stream(traces)
    assert server.attributes["firsttoken.time_to_first_byte"] == pytest.approx(3)
    assert stream.attributes["firsttoken.time_to_first_token"] == pytest.approx(3)
    assert stream.attributes["firsttoken.wait"] == pytest.approx(6)
    assert stream.attributes["firsttoken.hold"] == pytest.approx(0.5)  # up to the done event


async def test_messages_sent_by_two_tasks_at_once_are_both_recorded(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        async with anyio.create_task_group() as tasks:
            for body in words("a", "b", "c"):
                tasks.start_soon(send, {"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await read(traced(app, traces))
    _, stream = server_and_stream(traces)
    assert stream.attributes["firsttoken.chunk.count"] == 4
    assert stream.attributes["firsttoken.outcome"] == "completed"


# --- how it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("raises_when_gone", [False, True])
async def test_a_client_that_leaves_is_cancelled(raises_when_gone: bool, traces: Traces) -> None:
    app = ScriptedApp(b'data: {"text": "a"}\n\n', then="listen")
    client = StreamingAsgiClient(traced(app, traces), raises_when_gone=raises_when_gone)
    async with client.stream() as response:
        await anext(response)
    assert outcomes(traces) == ("cancelled", "cancelled")


async def test_a_send_that_fails_says_that_the_client_left(traces: Traces) -> None:
    app = ScriptedApp(*words("a", "b"))
    client = StreamingAsgiClient(traced(app, traces), raises_when_gone=True)
    with pytest.raises(OSError, match="gone"):
        async with client.stream() as response:
            await anext(response)
    assert outcomes(traces) == ("cancelled", "cancelled")
    server, _ = server_and_stream(traces)
    assert "error.type" not in server.attributes


async def test_a_client_that_leaves_after_the_done_event_had_it_all(traces: Traces) -> None:
    app = ScriptedApp(*words("a"), then="listen")
    async with StreamingAsgiClient(traced(app, traces)).stream() as response:
        for _ in range(2):
            await anext(response)
    assert outcomes(traces) == ("completed", "completed")


async def test_a_cancelled_request_is_cancelled(traces: Traces) -> None:
    app = ScriptedApp(b'data: {"text": "a"}\n\n', then="listen")
    with anyio.CancelScope() as scope:
        async with StreamingAsgiClient(traced(app, traces)).stream() as response:
            await anext(response)
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert outcomes(traces) == ("cancelled", "cancelled")


@pytest.mark.parametrize("told", ["event: error\ndata: boom\n\n", 'data: {"error": {"type": "X"}}\n\n'])
async def test_an_error_told_in_the_stream_is_failed(told: str, traces: Traces) -> None:
    await read(traced(ScriptedApp(told.encode(), b"data: [DONE]\n\n"), traces))
    assert outcomes(traces) == ("failed", "failed")


async def test_an_exception_after_the_headers_is_failed_and_passes_on(traces: Traces) -> None:
    with pytest.raises(SourceError):
        await read(traced(ScriptedApp(*words("a")[:1], then="raise"), traces))
    assert outcomes(traces) == ("failed", "failed")
    server, stream = server_and_stream(traces)
    assert stream.attributes["error.type"] == "firsttoken.testing._contract.SourceError"
    assert not server.status.is_ok
    assert not stream.status.is_ok


async def test_a_body_left_unfinished_is_failed(traces: Traces) -> None:
    await read(traced(ScriptedApp(*words("a")[:1], then="return"), traces))
    assert outcomes(traces) == ("failed", "failed")
    _, stream = server_and_stream(traces)
    assert stream.attributes["error.type"] == "firsttoken.asgi.IncompleteResponse"


@pytest.mark.parametrize(
    ("error_event", "expected"),
    [
        (True, sse_error_event(SourceError())),
        (lambda error: b"event: error\ndata: sorry\n\n", b"event: error\ndata: sorry\n\n"),
    ],
)
async def test_an_exception_becomes_an_event_for_the_client_where_asked(
    error_event: Any, expected: bytes, traces: Traces
) -> None:
    app = traced(ScriptedApp(b"data: half an", then="raise"), traces, error_event=error_event)
    with pytest.raises(SourceError):
        async with StreamingAsgiClient(app).stream() as response:
            body = await response.aread()
    assert body == b"data: half an" + b"\n\n" + expected
    assert response.messages[-1]["more_body"] is False
    assert outcomes(traces) == ("failed", "failed")


async def test_no_event_is_sent_in_a_body_that_has_none(traces: Traces) -> None:
    app = ScriptedApp(b"{}\n", content_type="application/jsonl", then="raise")
    with pytest.raises(SourceError):
        async with StreamingAsgiClient(traced(app, traces, error_event=True)).stream() as response:
            assert await response.aread() == b"{}\n"


# --- what it tells on request ----------------------------------------------------------------------


async def test_the_response_names_its_trace_where_asked(traces: Traces) -> None:
    options = {"trace_headers": ["traceresponse", "Server-Timing"]}
    for content_type in ("text/event-stream", "text/html"):
        app = traced(ScriptedApp(b"a", content_type=content_type), traces, **options)
        async with StreamingAsgiClient(app).stream() as response:
            await response.aread()
        server = [span for span in traces.spans() if span.kind is SpanKind.SERVER][-1]
        version, trace_id, span_id, _ = response.headers["traceresponse"].split("-")
        assert (version, int(trace_id, 16)) == ("00", server.context.trace_id)
        assert int(span_id, 16) == server.context.span_id
        assert response.headers["access-control-expose-headers"] == "traceresponse"
        assert trace_id in response.headers["server-timing"]


async def test_live_streams_are_listed_on_the_debug_path(traces: Traces) -> None:
    app = traced(ScriptedApp(*words("a"), then="listen"), traces, debug_path="/live")
    async with StreamingAsgiClient(app).stream("/chat") as response:
        await anext(response)
        await anext(response)
        firsttoken.flush(10)
        page = json.loads(await read(app, "/live"))
        (row,) = page["streams"]
        assert (row["chunks"], row["content_chunks"], row["outcome"]) == (2, 1, "completed")
        assert 0 <= row["last_chunk_age_s"] <= row["age_s"]
        assert isinstance(page["loop_blocks"], list)
    firsttoken.flush(10)
    assert json.loads(await read(app, "/live"))["streams"] == []

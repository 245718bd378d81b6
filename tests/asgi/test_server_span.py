"""One SERVER span per request: ours where there is none, else whoever made it, enriched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

import firsttoken
from firsttoken.asgi import StreamTraceMiddleware
from firsttoken.testing import SourceError
from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import ScriptedApp, outcomes, server_and_stream, traced, words
from tests.conftest import Traces

pytestmark = pytest.mark.anyio

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def read(app: Any, path: str = "/", **options: Any) -> bytes:
    async with StreamingAsgiClient(app).stream(path, **options) as response:
        return await response.aread()


def fastapi_app(traces: Traces | None) -> FastAPI:
    """Return a FastAPI application with its native telemetry, or without where `traces` is None."""
    telemetry: Any = {"tracing": False, "metrics": False, "logs": False}
    if traces is not None:
        telemetry = {"tracer_provider": traces.provider, "metrics": False, "logs": False}
    app = FastAPI(telemetry=telemetry)

    @app.get("/chat/{name}")
    async def chat(name: str) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for event in words("hello", name):
                yield event

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/broken")
    async def broken() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield words("a")[0]
            raise SourceError("as told")

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


# --- opened by us ----------------------------------------------------------------------------------


async def test_where_there_is_none_one_is_opened_with_the_http_conventions(traces: Traces) -> None:
    headers = [("host", "chat.example:8443"), ("user-agent", "browser"), ("traceparent", TRACEPARENT)]
    app = traced(fastapi_app(None), traces)
    await read(app, "/chat/you?prompt=secret", headers=headers, scheme="https")
    server, stream = server_and_stream(traces)
    assert server.name == "GET /chat/{name}"
    expected = {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/chat/{name}",
        "url.path": "/chat/you",
        "url.scheme": "https",
        "server.address": "chat.example",
        "server.port": 8443,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "browser",
    }
    assert expected.items() <= dict(server.attributes).items()
    assert "secret" not in str(dict(server.attributes))
    assert server.parent.is_remote
    assert server.parent.span_id == 0xB7AD6B7169203331
    assert server.context.trace_id == stream.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert stream.name == "http.stream /chat/{name}"


async def test_spans_of_the_application_are_its_children(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with traces.provider.get_tracer("app").start_as_current_span("work"):
            await ScriptedApp(*words("a"))(scope, receive, send)

    await read(traced(app, traces))
    server, _ = server_and_stream(traces)
    (work,) = [span for span in traces.spans() if span.name == "work"]
    assert work.parent.span_id == server.context.span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize(
    ("app", "error_type"),
    [
        (ScriptedApp(b"", content_type="text/html", status=503), "503"),
        (ScriptedApp(b"", content_type="text/html", then="raise"), "SourceError"),
        (ScriptedApp(b"", content_type="text/html", then="return"), "IncompleteResponse"),
    ],
)
async def test_a_failed_request_is_an_error(app: Any, error_type: str, traces: Traces) -> None:
    with suppress(SourceError):
        await read(traced(app, traces))
    assert traces.span().attributes["error.type"] == error_type
    assert not traces.span().status.is_ok


async def test_an_unknown_method_is_not_told_as_it_is(traces: Traces) -> None:
    await read(traced(ScriptedApp(), traces), method="BREW")
    server, _ = server_and_stream(traces)
    assert (server.name, server.attributes["http.request.method"]) == ("HTTP", "_OTHER")
    assert server.attributes["http.request.method_original"] == "BREW"


async def test_without_a_tracer_provider_everything_passes() -> None:
    assert await read(StreamTraceMiddleware(ScriptedApp(b"a"))) == b"a"


# --- made by others --------------------------------------------------------------------------------


def add_ours(app: Any, traces: Traces) -> Any:
    app.add_middleware(StreamTraceMiddleware, tracer_provider=traces.provider)
    return app


def wrap_in_ours(app: Any, traces: Traces) -> Any:
    return traced(app, traces)


@pytest.mark.parametrize("place", [add_ours, wrap_in_ours])
async def test_the_one_of_fastapi_is_enriched(place: Any, traces: Traces) -> None:
    await read(place(fastapi_app(traces), traces), "/chat/you")
    server, _ = server_and_stream(traces)
    assert server.instrumentation_scope.name == "fastapi"
    assert server.attributes["firsttoken.chunk.count"] == 3
    assert server.attributes["http.route"] == "/chat/{name}"
    assert outcomes(traces) == ("completed", "completed")


@pytest.mark.parametrize("error_event", [False, True])
async def test_the_one_of_fastapi_is_told_of_a_failure(error_event: bool, traces: Traces) -> None:
    app = fastapi_app(traces)
    app.add_middleware(StreamTraceMiddleware, tracer_provider=traces.provider, error_event=error_event)
    with pytest.raises(SourceError):
        await read(app, "/broken")
    server, _ = server_and_stream(traces)
    assert "SourceError" in server.attributes["error.type"]
    assert outcomes(traces) == ("failed", "failed")


@pytest.mark.parametrize("place", [add_ours, wrap_in_ours])
async def test_the_one_of_starlettes_middleware_is_enriched(place: Any, traces: Traces) -> None:
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

    app = fastapi_app(None)
    if place is add_ours:
        add_ours(app, traces)
        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=traces.provider)
    else:
        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=traces.provider)
        app = wrap_in_ours(app, traces)
    await read(app, "/chat/you")
    server, _ = server_and_stream(traces)
    assert server.instrumentation_scope.name == "starlette"
    assert server.attributes["firsttoken.chunk.count"] == 3


@pytest.mark.parametrize("place", [add_ours, wrap_in_ours])
async def test_the_contrib_instrumentation_makes_no_second_one(place: Any, traces: Traces) -> None:
    contrib = pytest.importorskip("opentelemetry.instrumentation.asgi", reason="not installed")
    inner: Any = fastapi_app(None)
    if place is add_ours:
        app = contrib.OpenTelemetryMiddleware(add_ours(inner, traces), tracer_provider=traces.provider)
    else:
        app = traced(contrib.OpenTelemetryMiddleware(inner, tracer_provider=traces.provider), traces)
    await read(app, "/chat/you")
    server, _ = server_and_stream(traces)
    assert server.attributes["firsttoken.chunk.count"] == 3


async def test_two_of_our_own_are_one(traces: Traces) -> None:
    await read(traced(add_ours(fastapi_app(None), traces), traces), "/chat/you")
    assert len(traces.spans()) == 2
    server_and_stream(traces)


async def test_ours_keeps_frameworks_further_inside_from_making_another(traces: Traces) -> None:
    inner = fastapi_app(traces)

    async def mounts(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    await read(traced(mounts, traces), "/chat/you", headers=[("traceparent", TRACEPARENT)])
    server, _ = server_and_stream(traces)
    assert server.instrumentation_scope.name == "firsttoken"


async def test_a_span_around_the_whole_server_is_no_requests_own(traces: Traces) -> None:
    with traces.provider.get_tracer("main").start_as_current_span("main"):
        await read(traced(ScriptedApp(*words("a")), traces))
    server, _ = server_and_stream(traces)
    (main,) = [span for span in traces.spans() if span.name == "main"]
    assert server.parent is None
    assert "firsttoken.outcome" not in main.attributes


async def test_a_span_between_the_server_span_and_us_is_taken_for_it(traces: Traces) -> None:
    tracer = traces.provider.get_tracer("outer")
    with (
        tracer.start_as_current_span("GET", kind=SpanKind.SERVER),
        tracer.start_as_current_span("middleware") as between,
    ):
        await read(traced(ScriptedApp(*words("a")), traces))
    spans = {span.name: span for span in traces.spans()}
    assert sorted(spans) == ["GET", "http.stream", "middleware"]
    assert spans["http.stream"].parent.span_id == between.get_span_context().span_id


async def test_an_unsampled_one_stays_alone(traces: Traces) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    unsampled.add_span_processor(SimpleSpanProcessor(traces.exporter))
    with unsampled.get_tracer("outer").start_as_current_span("GET", kind=SpanKind.SERVER):
        assert await read(traced(ScriptedApp(b"a"), traces)) == b"a"
    assert traces.spans() == ()


@pytest.mark.parametrize("stands_between", [False, True])
async def test_with_nowhere_to_tell_nothing_stands_between_server_and_application(
    stands_between: bool, traces: Traces
) -> None:
    async def app(*given: Any) -> None:
        assert (given[1:] == (receive, send)) is not stands_between
        await ScriptedApp(b"a")(*given)

    async def receive() -> Any:
        raise AssertionError("nobody asks")

    async def send(_: Any) -> None:
        return None

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    traced_app = traced(app, traces) if stands_between else StreamTraceMiddleware(app)
    await traced_app(scope, receive, send)
    assert stands_between or len(scope) == 4, "it left something behind"


async def test_an_error_event_is_sent_although_nobody_samples() -> None:
    app = StreamTraceMiddleware(ScriptedApp(b"a", then="raise"), error_event=True)
    with pytest.raises(SourceError):
        async with StreamingAsgiClient(app).stream() as response:
            assert b"event: error" in await response.aread()


async def test_a_span_that_ended_is_left_alone(traces: Traces, caplog: Any) -> None:
    span = traces.provider.get_tracer("outer").start_span("GET", kind=SpanKind.SERVER)

    async def end(_: int) -> None:
        span.end()

    with trace.use_span(span):
        await read(traced(ScriptedApp(*words("a")[:1], between=end), traces))
    assert firsttoken.flush(10)
    assert "ended span" not in caplog.text


async def test_the_global_tracer_provider_is_used_as_soon_as_there_is_one(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = StreamTraceMiddleware(ScriptedApp(*words("a")))
    assert trace._TRACER_PROVIDER is None, (
        "the private name that tells whether a provider is set has changed"
    )
    await read(app)
    assert traces.spans() == ()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traces.provider)
    await read(app)
    server_and_stream(traces)

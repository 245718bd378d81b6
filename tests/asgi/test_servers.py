"""Clients that leave, on real servers and sockets: the upstream closes, and both spans say cancelled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from firsttoken.asgi import StreamTraceMiddleware
from tests.asgi.apps import outcomes, server_and_stream
from tests.conftest import BACKENDS, Traces
from tests.serving import http1_get, http2_get_and_reset, on_granian, on_hypercorn, on_uvicorn, until

pytestmark = pytest.mark.anyio

WORDS = 3


class Upstream:
    """Says a few words and then nothing, until it is closed."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    async def __call__(self) -> AsyncIterator[dict[str, str]]:
        try:
            for index in range(WORDS):
                yield {"text": f"word {index}"}
            await anyio.sleep_forever()
        finally:
            self.closed.set()


def plain_generator(app: FastAPI, upstream: Upstream) -> None:
    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            async for item in upstream():
                yield f"data: {json.dumps(item)}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")


def yielding_endpoint(app: FastAPI, upstream: Upstream) -> None:
    @app.get("/chat", response_class=EventSourceResponse)
    async def chat() -> AsyncIterator[dict[str, str]]:
        async for item in upstream():
            yield item


def json_lines_endpoint(app: FastAPI, upstream: Upstream) -> None:
    @app.get("/chat")
    async def chat() -> AsyncIterator[dict[str, str]]:
        async for item in upstream():
            yield item


def sse_starlette_response(app: FastAPI, upstream: Upstream) -> None:
    sse = pytest.importorskip("sse_starlette", reason="not installed")

    async def chat() -> Any:
        async def events() -> AsyncIterator[dict[str, str]]:
            async for item in upstream():
                yield {"data": json.dumps(item)}

        return sse.EventSourceResponse(events())

    app.get("/chat", response_model=None)(chat)


def ours_alone(app: FastAPI, traces: Traces) -> None:
    app.add_middleware(StreamTraceMiddleware, tracer_provider=traces.provider)


async def _pass_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def behind_base_http(app: FastAPI, traces: Traces) -> None:
    ours_alone(app, traces)
    app.add_middleware(BaseHTTPMiddleware, dispatch=_pass_on)


def around_base_http(app: FastAPI, traces: Traces) -> None:
    app.add_middleware(BaseHTTPMiddleware, dispatch=_pass_on)
    ours_alone(app, traces)


def behind_gzip(app: FastAPI, traces: Traces) -> None:
    ours_alone(app, traces)
    app.add_middleware(GZipMiddleware, minimum_size=0)


def around_gzip(app: FastAPI, traces: Traces) -> None:
    app.add_middleware(GZipMiddleware, minimum_size=0)
    ours_alone(app, traces)


ROUTES = [plain_generator, yielding_endpoint, json_lines_endpoint, sse_starlette_response]
PLACES = [ours_alone, behind_base_http, around_base_http, behind_gzip, around_gzip]
ON_ASYNCIO = pytest.mark.parametrize(
    "anyio_backend", [backend for backend in BACKENDS if backend.id != "trio"], indirect=True
)


def application(
    route: Callable[[FastAPI, Upstream], None],
    place: Callable[[FastAPI, Traces], None],
    upstream: Upstream,
    traces: Traces,
) -> FastAPI:
    app = FastAPI(telemetry={"tracer_provider": traces.provider, "metrics": False, "logs": False})
    route(app, upstream)
    place(app, traces)
    return app


def check_cancelled(traces: Traces) -> None:
    server, stream = server_and_stream(traces)
    assert server.instrumentation_scope.name == "fastapi"
    assert outcomes(traces) == ("cancelled", "cancelled")
    assert stream.attributes["firsttoken.chunk.count"] == WORDS
    assert stream.attributes["firsttoken.time_to_first_token"] > 0


@ON_ASYNCIO
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("route", ROUTES)
async def test_client_leaves_over_http1(route: Any, place: Any, traces: Traces) -> None:
    upstream = Upstream()
    with anyio.fail_after(30):
        async with on_uvicorn(application(route, place, upstream, traces)) as port:
            async with http1_get(port, "/chat") as connection:
                await until(connection, b"word 2")
            await upstream.closed.wait()
    check_cancelled(traces)


@pytest.mark.parametrize("route", ROUTES[:3])
async def test_client_resets_its_stream_over_http2(
    route: Any, traces: Traces, anyio_backend_name: str
) -> None:
    pytest.importorskip("hypercorn", reason="not installed")
    upstream = Upstream()
    with anyio.fail_after(30):
        async with (
            on_hypercorn(application(route, ours_alone, upstream, traces), anyio_backend_name) as port,
            http2_get_and_reset(port, "/chat", b"word 2"),
        ):
            await upstream.closed.wait()
    check_cancelled(traces)


@ON_ASYNCIO
@pytest.mark.parametrize("route", ROUTES[:3])
async def test_client_resets_its_stream_over_http2_on_granian(route: Any, traces: Traces) -> None:
    pytest.importorskip("granian", reason="not installed")
    upstream = Upstream()
    with anyio.fail_after(60):
        async with (
            on_granian(application(route, ours_alone, upstream, traces)) as port,
            http2_get_and_reset(port, "/chat", b"word 2"),
        ):
            await upstream.closed.wait()
    check_cancelled(traces)


@ON_ASYNCIO
@pytest.mark.parametrize("count", [10, 10_000])
async def test_span_count_over_a_socket_does_not_depend_on_the_number_of_chunks(
    count: int, traces: Traces
) -> None:
    app = FastAPI(telemetry={"tracer_provider": traces.provider, "metrics": False, "logs": False})
    ours_alone(app, traces)

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for _ in range(count - 1):
                yield b'data: {"text": "x"}\n\n'
            yield b"data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    with anyio.fail_after(60):
        async with on_uvicorn(app) as port, http1_get(port, "/chat") as connection:
            while b"[DONE]" not in await connection.receive():
                pass
    _, stream = server_and_stream(traces)
    assert stream.attributes["firsttoken.chunk.count"] == count
    assert stream.attributes["firsttoken.outcome"] == "completed"
    names = {span.name for span in traces.spans()}
    assert names == {"GET /chat", "http.stream /chat", "fastapi.dependencies", "fastapi.endpoint"}
    assert len(traces.spans()) == 4


@ON_ASYNCIO
@pytest.mark.parametrize("error_event", [False, True])
@pytest.mark.parametrize("is_sent_first", [False, True])
@pytest.mark.parametrize("response_class", [EventSourceResponse, StreamingResponse])
async def test_a_generator_that_fails_is_failed_and_told_to_the_client(
    error_event: bool, is_sent_first: bool, response_class: Any, traces: Traces
) -> None:
    app = FastAPI(telemetry={"tracer_provider": traces.provider, "metrics": False, "logs": False})
    app.add_middleware(StreamTraceMiddleware, tracer_provider=traces.provider, error_event=error_event)

    async def events() -> AsyncIterator[Any]:
        yield {"text": "a"} if response_class is EventSourceResponse else b'data: {"text":"a"}\n\n'
        if is_sent_first:
            await anyio.wait_all_tasks_blocked()
        raise ValueError("private")

    async def whole() -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    if response_class is EventSourceResponse:
        app.get("/chat", response_class=EventSourceResponse)(events)
    else:
        app.get("/chat")(whole)

    received = b""
    with anyio.fail_after(30), suppress(anyio.EndOfStream):
        async with on_uvicorn(app) as port, http1_get(port, "/chat") as connection:
            received = await until(connection, b"\n\n")
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += await connection.receive()
    assert b"private" not in received
    assert (b'event: error\ndata: {"error": {"type": "ValueError"' in received) is error_event
    assert outcomes(traces) == ("failed", "failed")
    _, stream = server_and_stream(traces)
    assert stream.attributes["error.type"] == "ValueError"

"""Endpoints of a real FastAPI app on a real socket, one that yields and one that streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from opentelemetry import trace

import firsttoken
from tests.conftest import Traces

fastapi = pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")

# uvicorn imports parts of `websockets` that warn; the suite is about streams.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an app on loopback; yield its base URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    ready = asyncio.Event()
    startup = server.startup

    async def started(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        ready.set()

    server.startup = started
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(ready.wait(), 20)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


class App:
    """An app with every kind of endpoint that streams, and what it saw."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.current: list[trace.Span] = []
        self.app = fastapi.FastAPI()
        self.add("/yields", self.yields())
        self.add("/response", self.response())

    def add(self, path: str, endpoint: Callable[..., Any]) -> None:
        self.app.get(path)(endpoint)

    async def tokens(self, count: int) -> AsyncIterator[str]:
        try:
            for number in range(count):
                self.current.append(trace.get_current_span())
                yield f"t{number}\n"
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    def yields(self) -> Callable[..., Any]:
        @firsttoken.traced(name="yields")
        async def endpoint(count: int = 3) -> AsyncIterator[str]:
            async for token in self.tokens(count):
                yield token

        return endpoint

    def response(self) -> Callable[..., Any]:
        from fastapi.responses import StreamingResponse

        async def endpoint(count: int = 3) -> StreamingResponse:
            return StreamingResponse(firsttoken.trace_stream(self.tokens(count), name="response"))

        return endpoint


async def read(url: str) -> list[str]:
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        assert response.status_code == 200
        return [line async for line in response.aiter_lines()]


@pytest.fixture
def traced_globally(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> Traces:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: traces.provider)
    return traces


def ours(traces: Traces) -> list[Any]:
    """Return our spans; FastAPI makes some of its own."""
    return [span for span in traces.spans() if span.instrumentation_scope.name == "firsttoken"]


@pytest.mark.parametrize("path", ["yields", "response"])
def test_an_endpoint_streams_and_is_one_span(path: str, traced_globally: Traces) -> None:
    app = App()

    async def main() -> None:
        async with served(app.app) as url:
            lines = "".join(await read(f"{url}/{path}?count=4"))
        assert [lines.count(f"t{number}") for number in range(5)] == [1, 1, 1, 1, 0]

    asyncio.run(main())
    (span,) = ours(traced_globally)
    assert (span.name, span.attributes["firsttoken.outcome"]) == (path, "completed")
    assert span.attributes["firsttoken.chunk.count"] == 4
    assert {pulled_in.get_span_context().span_id for pulled_in in app.current} == {span.context.span_id}


@pytest.mark.parametrize("path", ["yields", "response"])
def test_a_client_that_leaves_closes_the_stream_and_is_told(path: str, traced_globally: Traces) -> None:
    async def main() -> None:
        app = App()
        async with served(app.app) as url:
            target = f"{url}/{path}?count=1000000"
            async with httpx.AsyncClient() as client, client.stream("GET", target) as response:
                async for _ in response.aiter_lines():
                    break
            await asyncio.wait_for(app.closed.wait(), 20)

    asyncio.run(main())
    (span,) = ours(traced_globally)
    assert span.attributes["firsttoken.outcome"] in ("cancelled", "abandoned")
    assert 0 < span.attributes["firsttoken.chunk.count"] < 1_000_000


def test_the_parameters_of_a_traced_endpoint_are_its_own(traced_globally: Traces) -> None:
    async def main() -> None:
        async with served(App().app) as url, httpx.AsyncClient() as client:
            response = await client.get(f"{url}/yields?count=many")
            assert response.status_code == 422

    asyncio.run(main())
    assert ours(traced_globally) == []

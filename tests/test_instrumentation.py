"""`instrument()`: every client, whenever it was made, each call once, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import firsttoken
from firsttoken.instrumentation import FirstTokenInstrumentor, instrument, uninstrument
from tests.conftest import Traces
from tests.replay_clients import BODY, HOSTS, LIBRARIES, chat_reply, configured, open_sync, url
from tests.replay_server import ReplayServer, recorded

METHODS = [
    (library, name, method)
    for library in (httpx, httpx2)
    for name, method in (
        ("HTTPTransport", "handle_request"),
        ("AsyncHTTPTransport", "handle_async_request"),
    )
]


def originals() -> list[Any]:
    return [vars(getattr(library, name))[method] for library, name, method in METHODS]


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    before = originals()
    yield
    uninstrument()
    assert originals() == before


@pytest.fixture
def server(server: ReplayServer) -> ReplayServer:
    server.answer(chat_reply())
    return server


@LIBRARIES
def test_a_client_that_exists_already_is_traced_until_it_is_undone(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    with library.Client() as client:
        instrument(hosts=HOSTS, tracer_provider=traces.provider)
        assert client.post(url(server), json=BODY).text.startswith("data:")
        assert traces.span().attributes["gen_ai.usage.output_tokens"] == 2
        uninstrument()
        client.post(url(server), json=BODY)
    assert len(traces.spans()) == 1


@LIBRARIES
@pytest.mark.anyio
async def test_an_async_client_is_traced(library: Any, server: ReplayServer, traces: Traces) -> None:
    instrument(hosts=HOSTS, tracer_provider=traces.provider)
    async with (
        library.AsyncClient() as client,
        client.stream("POST", url(server), json=BODY) as response,
    ):
        async for _ in response.aiter_raw():
            pass
    assert traces.span().attributes["firsttoken.outcome"] == "completed"


@LIBRARIES
def test_other_hosts_are_left_alone(library: Any, server: ReplayServer, traces: Traces) -> None:
    instrument(tracer_provider=traces.provider)
    with library.Client() as client:
        client.post(url(server), json=BODY)
    assert traces.spans() == ()
    assert "traceparent" not in server.received[0].headers


@LIBRARIES
def test_twice_is_once_with_the_last_arguments(library: Any, server: ReplayServer, traces: Traces) -> None:
    instrument(hosts={"127.0.0.1": "first"}, tracer_provider=traces.provider)
    instrument(hosts={"127.0.0.1": "second"}, tracer_provider=traces.provider)
    with library.Client() as client:
        client.post(url(server), json=BODY)
    assert traces.span().attributes["gen_ai.provider.name"] == "second"


@LIBRARIES
def test_a_tracing_transport_above_tells_the_call_alone(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    instrument(hosts=HOSTS, tracer_provider=traces.provider)
    with open_sync(library, traces) as client:
        client.post(url(server), json=BODY)
    assert traces.span().attributes["firsttoken.outcome"] == "completed"


@LIBRARIES
def test_a_traced_stream_above_tells_the_call_alone(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    def lines() -> Iterator[str]:
        with library.Client() as client, client.stream("POST", url(server), json=BODY) as response:
            yield from response.iter_lines()

    instrument(hosts=HOSTS, tracer_provider=traces.provider)
    assert list(firsttoken.trace_stream(lines(), tracer_provider=traces.provider))
    assert traces.span().attributes["server.port"] == server.port


@pytest.mark.parametrize("record", ["full", "arrivals"])
def test_one_span_however_much_is_recorded(record: str, server: ReplayServer, traces: Traces) -> None:
    instrument(hosts=HOSTS, tracer_provider=traces.provider)
    with configured(record=record):
        call = httpx2.stream("POST", url(server), json=BODY)
        with firsttoken.trace_stream(call, tracer_provider=traces.provider) as response:
            assert response.read() == recorded("chat-usage-after-finish.sse")
        assert len(traces.spans()) == 1


def test_another_patch_over_ours_survives(server: ReplayServer, traces: Traces) -> None:
    original = httpx2.HTTPTransport.handle_request
    instrument(hosts=HOSTS, tracer_provider=traces.provider)
    ours = httpx2.HTTPTransport.handle_request
    calls: list[Any] = []

    def theirs(transport: Any, request: Any) -> Any:
        calls.append(request)
        return ours(transport, request)

    httpx2.HTTPTransport.handle_request = theirs  # type: ignore[method-assign]
    try:
        uninstrument()
        assert httpx2.HTTPTransport.handle_request is theirs
        with httpx2.Client() as client:
            client.post(url(server), json=BODY)
    finally:
        httpx2.HTTPTransport.handle_request = original  # type: ignore[method-assign]
    assert len(calls) == 1
    assert traces.spans() == ()


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_library_that_is_imported_later_is_patched_then(library: str) -> None:
    code = f"""
import sys
from firsttoken.instrumentation import instrument, uninstrument
instrument()
assert not {{"httpx", "httpx2", "fastapi"}} & set(sys.modules)
import {library}
assert hasattr({library}.HTTPTransport.handle_request, "__wrapped__")
uninstrument()
assert not hasattr({library}.HTTPTransport.handle_request, "__wrapped__")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_hosts_come_from_the_environment(
    server: ReplayServer, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTTOKEN_HOSTS", f"model.test, 127.0.0.1:{server.port}")
    instrument(tracer_provider=traces.provider)
    with httpx2.Client() as client:
        client.post(url(server), json=BODY)
    assert len(traces.spans()) == 1


def test_bad_arguments_change_nothing() -> None:
    before = originals()
    with pytest.raises(TypeError, match="collection of host patterns"):
        instrument(hosts="127.0.0.1")
    assert originals() == before


def test_opentelemetry_instrument_can_load_it(server: ReplayServer, traces: Traces) -> None:
    distro = pytest.importorskip("opentelemetry.instrumentation.distro", reason="needs the distro package")
    entry_point = EntryPoint(
        "firsttoken", "firsttoken.instrumentation:FirstTokenInstrumentor", "opentelemetry_instrumentor"
    )
    distro.DefaultDistro().load_instrumentor(
        entry_point, skip_dep_check=True, hosts=HOSTS, tracer_provider=traces.provider
    )
    instrumentor = FirstTokenInstrumentor()
    assert instrumentor.is_instrumented_by_opentelemetry
    with httpx2.Client() as client:
        client.post(url(server), json=BODY)
    assert len(traces.spans()) == 1
    instrumentor.uninstrument()
    assert not instrumentor.is_instrumented_by_opentelemetry


#: A program that knows nothing of us, but sets up its tracing.
PROGRAM = """
import httpx2, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
line = lambda span: f"{span.instrumentation_scope.name}: {span.name}\\n"
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
trace.set_tracer_provider(provider)
httpx2.post(sys.argv[1], json={"model": "gpt-x", "stream": True, "messages": []})
"""


def test_a_program_under_opentelemetry_instrument_is_traced(server: ReplayServer) -> None:
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    if not command.exists():
        pytest.skip("needs opentelemetry-instrument")
    environment = {**os.environ, "FIRSTTOKEN_HOSTS": "127.0.0.1"}
    others = [point.name for point in entry_points(group="opentelemetry_instrumentor")]
    disabled = ",".join(name for name in others if name != "firsttoken")
    environment["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = disabled
    ran = subprocess.run(
        [str(command), sys.executable, "-c", PROGRAM, url(server)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["firsttoken: chat gpt-x"]


# --- FastAPI ---------------------------------------------------------------------------------------


def make_app() -> Any:
    fastapi = pytest.importorskip("fastapi", reason="needs FastAPI")
    from fastapi.responses import StreamingResponse

    app = fastapi.FastAPI()

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def events() -> Any:
            for number in range(3):
                yield f"data: {number}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


async def get_chat(app: Any) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        text: str = (await client.get("/chat")).text
        return text


def streams(traces: Traces) -> int:
    return sum("firsttoken.outcome" in span.attributes for span in traces.spans())


@pytest.mark.anyio
async def test_a_fastapi_app_is_traced_until_it_is_undone(traces: Traces) -> None:
    app = make_app()
    instrument(tracer_provider=traces.provider)
    assert await get_chat(app) == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    told = streams(traces)
    assert told > 0
    assert app.user_middleware == []
    uninstrument()
    assert await get_chat(app) == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert streams(traces) == told


@pytest.mark.anyio
async def test_an_app_with_the_middleware_gets_no_second(traces: Traces) -> None:
    from firsttoken.asgi import StreamTraceMiddleware

    counts = []
    for instrumented in (False, True):
        here = Traces()
        app = make_app()
        app.add_middleware(StreamTraceMiddleware, tracer_provider=here.provider)
        if instrumented:
            instrument(tracer_provider=here.provider)
        await get_chat(app)
        counts.append(len(here.spans()))
    assert counts[0] == counts[1] > 0

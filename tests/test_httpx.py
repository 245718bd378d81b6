"""Transports: the consumer sees what it saw without them, and each call to a model is one span."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from opentelemetry import trace

import firsttoken
from firsttoken.httpx import AsyncTracingTransport, TracingTransport
from tests.conftest import Traces
from tests.replay_clients import BODY, CHAT, LIBRARIES, chat_reply, open_async, open_sync, url
from tests.replay_server import ReplayServer, Reply, cases, cut, recorded, sse_pieces

# trio says so of every async generator that is dropped unfinished; httpx 0.28 leaves its own to gc.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


@pytest.fixture
def server(server: ReplayServer) -> ReplayServer:
    server.answer(chat_reply())
    return server


# --- the same bytes, the same errors ---------------------------------------------------------------

Read = Callable[[Any], Awaitable[Any]]


async def _all(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


async def _read_twice(response: Any) -> Any:
    return [await _all(response.aiter_raw()), await _all(response.aiter_raw())]


async def _break_off(response: Any) -> Any:
    iterator = response.aiter_raw()
    first = await anext(iterator)
    await iterator.aclose()
    await response.aclose()
    return first


async def _go_on_below(response: Any) -> Any:
    # As the OpenAI SDK drains a response: the stream beneath goes on where the reader stopped.
    iterator = response.aiter_raw()
    first = await anext(iterator)
    return [first, *[chunk async for chunk in response.stream]]


async def _never_read(response: Any) -> Any:
    await response.aclose()
    return response.is_closed


async def _fail(response: Any) -> Any:
    response.raise_for_status()


READS: dict[str, tuple[Read, str]] = {
    "aiter_raw": (lambda response: _all(response.aiter_raw()), "completed"),
    "aiter_raw in pieces": (lambda response: _all(response.aiter_raw(10)), "completed"),
    "aiter_bytes": (lambda response: _all(response.aiter_bytes()), "completed"),
    "aiter_text": (lambda response: _all(response.aiter_text()), "completed"),
    "aiter_lines": (lambda response: _all(response.aiter_lines()), "completed"),
    "aread": (lambda response: response.aread(), "completed"),
    "read twice": (_read_twice, "completed"),
    "broken off": (_break_off, "abandoned"),
    "gone on below": (_go_on_below, "completed"),
    "never read": (_never_read, "abandoned"),
}


def gzip_reply() -> Reply:
    return Reply(cut(gzip.compress(recorded(CHAT)), 40), headers={"content-encoding": "gzip"})


async def seen(library: Any, traces: Traces | None, server: ReplayServer, read: Read) -> Any:
    """Return what a consumer gets, or the error it gets, down to its text."""
    async with open_async(library, traces) as client:
        try:
            async with client.stream("POST", url(server), json=BODY) as response:
                return type(response), response.status_code, dict(response.headers), await read(response)
        except Exception as error:
            return type(error), str(error), type(error.__cause__)


def without_date(result: Any) -> Any:
    if len(result) == 4:
        result[2].pop("date")
    return result


@LIBRARIES
@pytest.mark.anyio
@pytest.mark.parametrize("reply", [chat_reply, gzip_reply])
@pytest.mark.parametrize("way", READS)
async def test_every_way_to_read_gives_the_same_and_one_span(
    library: Any, way: str, reply: Callable[[], Reply], server: ReplayServer, traces: Traces
) -> None:
    read, outcome = READS[way]
    server.answer(reply())
    without = without_date(await seen(library, None, server, read))
    assert without_date(await seen(library, traces, server, read)) == without
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == outcome
    if outcome == "completed":
        assert span.attributes["gen_ai.usage.output_tokens"] == 2
    assert trace.get_current_span() is trace.INVALID_SPAN


@LIBRARIES
@pytest.mark.anyio
async def test_a_connection_that_breaks_is_the_same_error_and_failed(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    server.answer(Reply(sse_pieces(recorded(CHAT))[:2], cut=True))
    read = READS["aread"][0]
    without = await seen(library, None, server, read)
    assert without[0] is library.RemoteProtocolError
    assert await seen(library, traces, server, read) == without
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "failed"
    assert span.attributes["error.type"] == f"{library.__name__}.RemoteProtocolError"
    assert span.attributes["firsttoken.chunk.count"] == 2


@LIBRARIES
@pytest.mark.anyio
async def test_a_refused_call_is_the_same_error_and_failed_with_its_status(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    server.answer(Reply([b'{"error": {"message": "my secret"}}'], "application/json", status=429))
    without = await seen(library, None, server, _fail)
    assert without[0] is library.HTTPStatusError
    assert await seen(library, traces, server, _fail) == without
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "failed"
    assert span.attributes["error.type"] == "429"
    assert span.attributes["http.response.status_code"] == 429
    assert span.status.status_code is trace.StatusCode.ERROR


@LIBRARIES
@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_the_same_error_and_failed(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    without = await seen(library, None, server, _fail)
    assert without[0] is library.ConnectError
    assert await seen(library, traces, server, _fail) == without
    assert traces.span().attributes["error.type"] == f"{library.__name__}.ConnectError"


@LIBRARIES
@pytest.mark.anyio
async def test_a_reader_cancelled_while_it_waits_closes_the_connection_and_is_cancelled(
    library: Any, server: ReplayServer, traces: Traces
) -> None:
    pieces = sse_pieces(recorded(CHAT))
    gate = threading.Event()
    server.answer(Reply(pieces, gates={1: gate}))
    first = anyio.Event()

    async def read() -> None:
        async with (
            open_async(library, traces) as client,
            client.stream("POST", url(server), json=BODY) as response,
        ):
            async for _ in response.aiter_bytes():
                first.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await first.wait()
        tasks.cancel_scope.cancel()
    gate.set()
    assert traces.span().attributes["firsttoken.outcome"] == "cancelled"


@LIBRARIES
@pytest.mark.anyio
async def test_a_request_cancelled_before_its_answer_is_cancelled(library: Any, traces: Traces) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes the request, and never answers
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"

        async def post() -> None:
            async with open_async(library, traces) as client:
                await client.post(address, json=BODY)

        def take() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1)
                taken.set()
                assert released.wait(30)

        taken, released = threading.Event(), threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, take)
            async with anyio.create_task_group() as posting:
                posting.start_soon(post)
                await anyio.to_thread.run_sync(taken.wait)
                posting.cancel_scope.cancel()
            released.set()
    span = traces.span()
    assert span.attributes["firsttoken.outcome"] == "cancelled"
    assert span.attributes["firsttoken.chunk.count"] == 0


SYNC_READS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "iter_raw": (lambda response: list(response.iter_raw()), "completed"),
    "iter_bytes": (lambda response: list(response.iter_bytes()), "completed"),
    "iter_lines": (lambda response: list(response.iter_lines()), "completed"),
    "read": (lambda response: response.read(), "completed"),
    "broken off": (lambda response: next(response.iter_raw()), "abandoned"),
    "never read": (lambda response: response.close(), "abandoned"),
    "read twice": (lambda response: [list(response.iter_raw()), list(response.iter_raw())], "completed"),
}


@LIBRARIES
@pytest.mark.parametrize("way", SYNC_READS)
def test_every_way_to_read_without_a_loop_gives_the_same_and_one_span(
    library: Any, way: str, server: ReplayServer, traces: Traces
) -> None:
    read, outcome = SYNC_READS[way]

    def seen(traces: Traces | None) -> Any:
        with open_sync(library, traces) as client:
            try:
                with client.stream("POST", url(server), json=BODY) as response:
                    return response.status_code, read(response), response.num_bytes_downloaded
            except Exception as error:
                return type(error), str(error)

    assert seen(traces) == seen(None)
    assert traces.span().attributes["firsttoken.outcome"] == outcome


@pytest.mark.parametrize(("name", "file", "facts"), cases(), ids=lambda value: str(value)[:40])
def test_every_body_of_the_corpus_passes_unchanged_and_is_understood(
    name: str, file: Any, facts: dict[str, Any], server: ReplayServer, traces: Traces
) -> None:
    body = file.read_bytes()
    content_type = facts.get("content_type") or facts.get("content_type_usual") or "text/event-stream"
    server.answer(Reply(cut(body), content_type))
    with (
        open_sync(httpx2, traces) as client,
        client.stream("POST", url(server), json=BODY) as response,
    ):
        assert b"".join(response.iter_raw()) == body
    attributes = traces.span().attributes
    expected = facts["expected"]
    assert attributes.get("firsttoken.chunk.undecoded", 0) == 0
    assert ("firsttoken.time_to_first_token" in attributes) == (expected["first_output"] is not None)
    if expected.get("response_model") is not None:
        assert attributes["gen_ai.response.model"] == expected["response_model"]
    assert (attributes["firsttoken.outcome"] == "failed") == expected["has_error"]


@LIBRARIES
def test_transports_are_what_they_wrap(library: Any) -> None:
    wrapped = library.HTTPTransport()
    transport = TracingTransport(wrapped)
    assert isinstance(transport, library.BaseTransport)
    assert transport._pool is wrapped._pool
    with transport as entered:
        assert entered is transport


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match="transport"):
        TracingTransport(object())
    with pytest.raises(TypeError, match="async transport"):
        AsyncTracingTransport(httpx.HTTPTransport())
    with pytest.raises(TypeError, match="collection of host patterns"):
        TracingTransport(httpx.HTTPTransport(), hosts="api.example.com")
    with pytest.raises(firsttoken.ConfigError, match="host or host:port"):
        TracingTransport(httpx.HTTPTransport(), propagate_to=["https://api.example.com"])
    with pytest.raises(TypeError, match="tracer_provider"):
        TracingTransport(httpx.HTTPTransport(), tracer_provider=object())  # type: ignore[arg-type]


def test_neither_library_is_imported() -> None:
    code = "import sys, firsttoken.httpx; print({'httpx', 'httpx2'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"

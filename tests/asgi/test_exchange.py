"""Applications that use ASGI in an unusual way: what passes, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest
from opentelemetry.trace import SpanKind

from firsttoken._wrap.default import default_runtime
from firsttoken.asgi import sse_error_event
from firsttoken.testing import SourceError
from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import (
    CancellingApp,
    ScriptedApp,
    check_told_alike,
    outcomes,
    server_and_stream,
    traced,
    words,
)
from tests.conftest import Traces

pytestmark = pytest.mark.anyio

EVENT_STREAM = (b"content-type", b"text/event-stream")
PAIRS = [EVENT_STREAM, (b"x-request-id", b"42")]


async def read(app: Any, **options: Any) -> bytes:
    async with StreamingAsgiClient(app).stream(**options) as response:
        return await response.aread()


def server_span_around(app: Any, traces: Traces) -> Any:
    """Return `app` inside a SERVER span of another, which ends with the last message."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def send_and_end(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                span.end()

        tracer = traces.provider.get_tracer("outer")
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, end_on_exit=False) as span:
            await app(scope, receive, send_and_end)

    return serve


class Server:
    """Takes messages without waiting, as uvicorn does while the client keeps up.

    refuses: the body that it does not take, with `error`.
    """

    def __init__(self, *, refuses: bytes | None = None, error: Exception | None = None) -> None:
        self.refuses = refuses
        self.error = error
        self.last: list[bytes] = []

    async def serve(self, app: Any) -> None:
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, self._receive, self._send)

    async def _send(self, message: Any) -> None:
        if self.error is not None and message.get("body") == self.refuses:
            raise self.error
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.last.append(message["body"])

    async def _receive(self) -> Any:
        raise AssertionError("nobody asks")


# --- headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [(), ("traceresponse",)])
@pytest.mark.parametrize("iterable", [iter, dict.items, lambda pairs: (pair for pair in pairs)])
async def test_headers_that_can_be_read_once_reach_the_server(
    iterable: Callable[[Any], Iterable[Any]], asked: Any, traces: Traces
) -> None:
    app = ScriptedApp(*words("a"))
    app.start["headers"] = iterable(dict(PAIRS) if iterable is dict.items else PAIRS)
    async with StreamingAsgiClient(traced(app, traces, trace_headers=asked)).stream() as response:
        await response.aread()
    assert response.messages[0]["headers"][: len(PAIRS)] == PAIRS
    assert ("traceresponse" in response.headers) is bool(asked)
    _, stream = server_and_stream(traces)
    assert stream.attributes["http.response.header.content-type"] == ("text/event-stream",)


@pytest.mark.parametrize("headers", [PAIRS, tuple(PAIRS), None])
async def test_headers_that_can_be_read_again_pass_in_the_identical_message(
    headers: Any, traces: Traces
) -> None:
    app = ScriptedApp(*words("a"))
    app.start["headers"] = headers
    async with StreamingAsgiClient(traced(app, traces)).stream() as response:
        await response.aread()
    assert response.messages[0] is app.start
    assert app.start["headers"] is headers


async def test_headers_that_cannot_be_read_fail_in_the_application(traces: Traces) -> None:
    def failing() -> Any:
        yield EVENT_STREAM
        raise LookupError("no more headers")

    app = ScriptedApp(*words("a"))
    app.start["headers"] = failing()
    with pytest.raises(LookupError):
        await read(traced(app, traces))


# --- a last message with a body --------------------------------------------------------------------

ERROR = b'data: {"error": {"type": "overloaded"}}\n\n'


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("bodies", [(), words("a", "b", "c")])
@pytest.mark.parametrize(
    ("last", "outcome"),
    [(ERROR, "failed"), (bytearray(ERROR), "failed"), (ERROR[:-2], "failed"), (words("d")[0], "completed")],
)
async def test_what_the_last_message_carries_is_on_the_server_span(
    last: Any, outcome: str, bodies: tuple[bytes, ...], outside: bool, traces: Traces
) -> None:
    app = traced(ScriptedApp(*bodies, last=last), traces)
    body = await read(server_span_around(app, traces) if outside else app)
    assert body == b"".join(bodies) + last
    check_told_alike(traces, outcome, len(bodies) + 1, len(body))
    server, _ = server_and_stream(traces)
    assert server.attributes["firsttoken.time_to_first_byte"] > 0


async def test_what_nobody_can_read_is_counted_in_the_last_message(traces: Traces) -> None:
    app = ScriptedApp(b"\x00", last=b"\x01\x02", content_type="image/gif")
    await read(traced(app, traces, all_bodies=True))
    check_told_alike(traces, "completed", 2, 3)


@pytest.mark.parametrize(
    ("error", "last", "outcome"),
    [
        (OSError("gone"), words("a")[0], "cancelled"),
        (OSError("gone"), ERROR, "failed"),
        (LookupError("a fault of the server"), words("a")[0], "failed"),
    ],
)
async def test_a_last_message_that_is_not_taken_counts_once(
    error: Exception, last: bytes, outcome: str, traces: Traces
) -> None:
    ping = b": ping\n\n"
    with pytest.raises(type(error)):
        await Server(refuses=last, error=error).serve(traced(ScriptedApp(ping, last=last), traces))
    check_told_alike(traces, outcome, 2, len(ping + last))


async def test_an_error_that_is_just_being_read_when_the_server_refuses_it_is_one(traces: Traces) -> None:
    async def taking(scope: Any, receive: Any, send: Any) -> None:
        async def send_and_take(message: Any) -> None:
            try:
                await send(message)
            except OSError:
                for live in default_runtime().live_streams():
                    live.record.take()
                raise

        await traced_app(scope, receive, send_and_take)

    traced_app = traced(ScriptedApp(last=ERROR), traces)
    with pytest.raises(OSError, match="gone"):
        await Server(refuses=ERROR, error=OSError("gone")).serve(taking)
    server, _ = server_and_stream(traces)
    assert server.attributes["firsttoken.outcome"] == "failed"


@pytest.mark.parametrize(("bodies", "outcome"), [(words("a")[:1], "cancelled"), (words("a"), "completed")])
async def test_an_empty_last_message_that_is_not_taken_says_that_the_client_left(
    bodies: tuple[bytes, ...], outcome: str, traces: Traces
) -> None:
    server = Server(refuses=b"", error=OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await server.serve(traced(ScriptedApp(*bodies), traces))
    assert outcomes(traces) == (outcome, outcome)
    assert "error.type" not in server_and_stream(traces)[0].attributes


# --- an application that cancels what is its own ---------------------------------------------------

(LAST,) = words()


@pytest.mark.parametrize(
    ("outside", "error_event", "last"),
    [
        (False, False, LAST),
        (True, False, LAST),
        (False, True, LAST),
        (True, True, LAST),
        (False, False, b""),
        (False, True, b""),
        (True, True, b""),
    ],
)
async def test_an_application_that_cancels_its_own_tasks_is_completed(
    outside: bool, error_event: bool, last: bytes, traces: Traces
) -> None:
    app = traced(CancellingApp(last), traces, error_event=error_event)
    server = Server()
    await server.serve(server_span_around(app, traces) if outside else app)
    assert server.last == [last]
    assert outcomes(traces) == ("completed", "completed")


async def test_an_error_event_still_goes_in_place_of_the_last_message(traces: Traces) -> None:
    async def fail(_: Any) -> None:
        raise LookupError("private")

    server = Server()
    with pytest.raises(LookupError):
        await server.serve(traced(CancellingApp(b"", after=fail), traces, error_event=True))
    assert server.last == [b"\n\n" + sse_error_event(LookupError())]
    assert outcomes(traces) == ("failed", "failed")


async def test_there_is_one_last_message_although_the_application_sends_another(traces: Traces) -> None:
    async def send_another(send: Any) -> None:
        with anyio.CancelScope(shield=True):
            await send({"type": "http.response.body", "body": LAST, "more_body": False})

    server = Server()
    await server.serve(traced(CancellingApp(b"", then=send_another), traces, error_event=True))
    assert server.last == [LAST]
    assert outcomes(traces) == ("completed", "completed")


async def test_a_held_message_that_the_server_refuses_is_a_client_that_left(traces: Traces) -> None:
    last = words("b")[0]
    server = Server(refuses=last, error=OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await server.serve(traced(CancellingApp(last), traces, error_event=True))
    assert outcomes(traces) == ("cancelled", "cancelled")


# --- an error event --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "is_plain"), [(b"gzip", False), (b"br", False), (b"identity", True), (b" Identity", True)]
)
async def test_no_error_event_goes_into_a_compressed_body(
    encoding: bytes, is_plain: bool, traces: Traces
) -> None:
    app = ScriptedApp(b"", then="raise", headers=[(b"content-encoding", encoding)])
    with pytest.raises(SourceError):
        async with StreamingAsgiClient(traced(app, traces, error_event=True)).stream() as response:
            body = await response.aread()
    assert (b"event: error" in body) is is_plain
    assert response.messages[-1].get("more_body") is not is_plain
    assert outcomes(traces) == ("failed", "failed")


# --- a HEAD request --------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/html"])
async def test_what_is_sent_for_a_head_request_is_no_stream(content_type: str, traces: Traces) -> None:
    app = traced(ScriptedApp(*words("a"), content_type=content_type), traces, all_bodies=True)
    await read(app, method="HEAD")
    server = traces.span()
    assert server.name == "HEAD"
    assert not any(key.startswith("firsttoken.") for key in server.attributes)

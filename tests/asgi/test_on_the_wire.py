"""What a client of a real server gets, and what is told of it, where only the wire can tell."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.asgi.apps import CancellingApp, ScriptedApp, check_told_alike, outcomes, traced, words
from tests.conftest import BACKENDS, Traces
from tests.serving import http1_get, on_uvicorn

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend", [backend for backend in BACKENDS if backend.id != "trio"], indirect=True
    ),
]

LAST_CHUNK = b"\r\n0\r\n\r\n"


async def response_of(app: Any) -> bytes:
    """Return a whole response of `app` as uvicorn sends it, or as much of it as there was."""
    received = b""
    with anyio.fail_after(30), suppress(anyio.EndOfStream):
        async with on_uvicorn(app) as port, http1_get(port, "/") as connection:
            while not received.endswith(LAST_CHUNK):
                received += await connection.receive()
    return received


async def test_headers_out_of_a_generator_are_sent(traces: Traces) -> None:
    app = ScriptedApp(*words("a"))
    pairs = [(b"content-type", b"text/event-stream"), (b"x-request-id", b"42")]
    app.start["headers"] = (pair for pair in pairs)
    response = await response_of(traced(app, traces))
    assert b"\r\ncontent-type: text/event-stream\r\nx-request-id: 42\r\n" in response
    assert response.endswith(LAST_CHUNK)


@pytest.mark.parametrize("bodies", [(), words("a", "b")])
async def test_what_the_last_message_carries_is_told(bodies: tuple[bytes, ...], traces: Traces) -> None:
    last = b'data: {"error": {"type": "overloaded"}}\n\n'
    app = ScriptedApp(*bodies, last=last)
    assert last in await response_of(traced(app, traces))
    check_told_alike(traces, "failed", len(bodies) + 1, sum(map(len, bodies)) + len(last))


@pytest.mark.parametrize("error_event", [False, True])
async def test_an_application_that_cancels_its_own_tasks_gets_its_last_message_out(
    error_event: bool, traces: Traces
) -> None:
    response = await response_of(traced(CancellingApp(words()[0]), traces, error_event=error_event))
    assert b"[DONE]" in response
    assert response.endswith(LAST_CHUNK)
    assert outcomes(traces) == ("completed", "completed")

"""What passes between server and application where the application uses ASGI in an unusual way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import ScriptedApp, server_and_stream, traced, words
from tests.conftest import Traces

pytestmark = pytest.mark.anyio

EVENT_STREAM = (b"content-type", b"text/event-stream")
PAIRS = [EVENT_STREAM, (b"x-request-id", b"42")]


async def read(app: Any, **options: Any) -> bytes:
    async with StreamingAsgiClient(app).stream(**options) as response:
        return await response.aread()


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

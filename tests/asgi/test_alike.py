"""Bodies that differ in a word alone are told as if each of them had been decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import firsttoken
from firsttoken._wrap.default import default_runtime
from firsttoken._wrap.live import LiveStream
from firsttoken.asgi._body import OPERATION
from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import ScriptedApp, server_and_stream, traced
from tests.conftest import Traces

pytestmark = pytest.mark.anyio


def event(text: str, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **fields}
    body = {"object": "chat.completion.chunk", "model": "gpt-x", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


BEGIN = [event("Hello"), event(" there"), event(",")]
END = [event("", finish_reason="stop"), b"data: [DONE]\n\n"]


async def until(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110  # the thinker is no task
            await anyio.sleep(0.005)


class Watched:
    """Waits, before the fourth body, until the thinker has read those before it, which are alike."""

    def __init__(self) -> None:
        self.live: LiveStream | None = None

    async def __call__(self, index: int) -> None:
        if index == 3:
            await until(self._find)

    def _find(self) -> bool:
        running = [live for live in default_runtime().live_streams() if not live.is_over]
        self.live = next((live for live in running if live.request.operation == OPERATION), None)
        return self.live is not None and self.live.tally.content_count == len(BEGIN)


async def serve(traces: Traces, *bodies: bytes) -> tuple[Any, Watched]:
    assert await anyio.to_thread.run_sync(firsttoken.flush, 30)
    watched = Watched()
    app = traced(ScriptedApp(*bodies, between=watched), traces)
    async with StreamingAsgiClient(app).stream() as response:
        assert await response.aread() == b"".join(bodies)
    return server_and_stream(traces)[1], watched


async def test_what_is_alike_counts(traces: Traces) -> None:
    span, watched = await serve(traces, *BEGIN, event(" a"), event(" b"), event(" c"), *END)
    assert watched.live is not None
    assert watched.live.tally.content_count == 6
    assert span.attributes["firsttoken.chunk.count"] == 8
    assert span.attributes["firsttoken.outcome"] == "completed"
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)


@pytest.mark.parametrize(
    ("bodies", "content"),
    [
        ([event(""), event(" x")], 4),
        ([event('"'), event(" x")], 5),
        ([b": ping\n\n", event(" x")], 4),
        ([event(" x")[:50], event(" x")[50:], event(" y")], 5),
        ([event(" x"), event("\\").replace(rb"\\", b"\n")], 4),  # written by hand, and no JSON
        ([event(" x"), event("\\").replace(rb"\\", b"\\")], 4),
        # Its second half begins as an event does, and is none.
        ([b"data: ", event(" x")], 3),
    ],
)
async def test_what_is_not_alike_is_decoded(bodies: list[bytes], content: int, traces: Traces) -> None:
    _, watched = await serve(traces, *BEGIN, *bodies, b"\n\n", *END)
    assert watched.live is not None
    assert watched.live.tally.content_count == content


async def test_an_error_among_what_is_alike_is_an_error(traces: Traces) -> None:
    failure = b'data: {"error": {"type": "overloaded", "message": "later"}}\n\n'
    span, _ = await serve(traces, *BEGIN, event(" a"), failure)
    assert span.attributes["firsttoken.outcome"] == "failed"
    assert span.attributes["error.type"] == "overloaded"


async def test_captured_text_is_whole(traces: Traces) -> None:
    from tests.replay_clients import configured

    with configured(capture_content="SPAN_ONLY"):
        app = traced(ScriptedApp(*BEGIN, event(" a"), *END), traces)
        async with StreamingAsgiClient(app).stream() as response:
            await response.aread()
        span = server_and_stream(traces)[1]
    assert "Hello there, a" in span.attributes["gen_ai.output.messages"]

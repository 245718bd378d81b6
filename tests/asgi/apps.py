"""Small ASGI applications, and a tracing middleware around them, for the tests of the ASGI edge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from opentelemetry.trace import SpanKind

from firsttoken.asgi import StreamTraceMiddleware
from firsttoken.testing import SourceError
from tests.conftest import Traces

Step = Callable[[Any], Awaitable[None]]
Between = Callable[[int], Awaitable[None]]


async def nothing(_: Any) -> None:
    return None


class ScriptedApp:
    """Streams `bodies` and remembers the very messages and scope it had to do with.

    last: the body of the last message.
    then: what follows the bodies: `end`, `raise`, `return` without a last message, or `listen` until the
        client is gone.
    between: awaited before each body, with its index.
    """

    def __init__(
        self,
        *bodies: Any,
        last: Any = b"",
        content_type: str = "text/event-stream",
        then: str = "end",
        between: Between | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        status: int = 200,
    ) -> None:
        self.bodies = bodies
        self.last = last
        self.then = then
        self.between = between
        self.start: dict[str, Any] = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"Content-Type", content_type.encode()), *headers],
        }
        self.sent: list[Any] = []
        self.asked: tuple[Any, Any, Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked = scope, receive, send
        if scope["type"] != "http":
            return

        async def tell(message: Any) -> None:
            self.sent.append(message)
            await send(message)

        await tell(self.start)
        for index, body in enumerate(self.bodies):
            if self.between is not None:
                await self.between(index)
            await tell({"type": "http.response.body", "body": body, "more_body": True})
        if self.then == "raise":
            raise SourceError("as told")
        if self.then == "listen":
            while (await receive())["type"] != "http.disconnect":
                pass
        if self.then == "end":
            await tell({"type": "http.response.body", "body": self.last, "more_body": False})


class CancellingApp:
    """Runs a task of its own beside the response, and ends it just before it sends the last message.

    last: the body of the last message.
    then: what follows it in the cancelled scope; gets `send`. `after` follows outside of that.
    """

    def __init__(self, last: bytes, *, then: Step = nothing, after: Step = nothing) -> None:
        self.last = last
        self.then = then
        self.after = after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(ScriptedApp().start)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await send({"type": "http.response.body", "body": words("a")[0], "more_body": True})
            tasks.cancel_scope.cancel()
            try:
                await send({"type": "http.response.body", "body": self.last, "more_body": False})
            finally:
                await self.then(send)
        await self.after(send)


def traced(app: Any, traces: Traces, **options: Any) -> StreamTraceMiddleware:
    return StreamTraceMiddleware(app, tracer_provider=traces.provider, **options)


def words(*texts: str) -> tuple[bytes, ...]:
    """Return one SSE event per text, and the done event."""
    return (*(f'data: {{"text": "{text}"}}\n\n'.encode() for text in texts), b"data: [DONE]\n\n")


def server_and_stream(traces: Traces) -> tuple[Any, Any]:
    """Return the one SERVER span and the one stream span below it, of all that was told."""
    spans = traces.spans()
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    (stream,) = [span for span in spans if span.name.startswith("http.stream")]
    assert stream.parent is not None
    assert stream.parent.span_id == server.context.span_id
    return server, stream


def check_told_alike(traces: Traces, outcome: str, chunk_count: int, size: int) -> None:
    """Check that the SERVER span and the stream span tell the same of a response."""
    for span in server_and_stream(traces):
        assert span.attributes["firsttoken.outcome"] == outcome
        assert span.attributes["firsttoken.chunk.count"] == chunk_count
        assert span.attributes["firsttoken.body.size"] == size


def outcomes(traces: Traces) -> tuple[Any, Any]:
    """Return what the SERVER span and the stream span call the outcome."""
    server, stream = server_and_stream(traces)
    return server.attributes["firsttoken.outcome"], stream.attributes["firsttoken.outcome"]

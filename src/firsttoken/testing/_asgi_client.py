"""A client that drives an ASGI application in memory, message by message. Floor 5 (plug; anyio).

The in-memory clients of HTTP libraries read a body whole before they show it. Here `await send()` of the
application returns when the test has taken the message, so that nothing happens that was not asked for;
runs on asyncio and trio, in the task of the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from firsttoken._asgi_types import App, Message, Scope


class StreamingAsgiResponse(AsyncIterator[bytes]):
    """A response whose body is still on its way: iterate it for the body messages' bytes.

    messages: what the application sent so far, the very objects.
    """

    def __init__(self, incoming: MemoryObjectReceiveStream[Message], gone: anyio.Event) -> None:
        self.messages: list[Message] = []
        self._incoming = incoming
        self._gone = gone
        self._is_complete = False

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case; the last one counts."""
        return {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in self.messages[0].get("headers", ())
        }

    def disconnect(self) -> None:
        """Leave: the application is told when it asks, and what it still sends is lost."""
        self._gone.set()
        self._incoming.close()

    async def aread(self) -> bytes:
        """Return the rest of the body."""
        return b"".join([body async for body in self])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next body as it comes, empty ones left out."""
        while not self._is_complete:
            try:
                message = await self._incoming.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                break
            self.messages.append(message)
            if message["type"] == "http.response.body":
                self._is_complete = not message.get("more_body", False)
                if message.get("body"):
                    return bytes(message["body"])
        raise StopAsyncIteration

    async def _start(self) -> bool:
        try:
            self.messages.append(await self._incoming.receive())
        except anyio.EndOfStream:
            return False
        return True


class StreamingAsgiClient:
    """Calls an ASGI application and streams its responses.

    app: the application; its lifespan is not run.
    raises_when_gone: what it sends after the client left raises OSError, as ASGI 2.4 allows; else it is
        lost, as in uvicorn.
    """

    def __init__(self, app: App, *, raises_when_gone: bool = False) -> None:
        self._app = app
        self._raises_when_gone = raises_when_gone

    @asynccontextmanager
    async def stream(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        **scope: Any,
    ) -> AsyncIterator[StreamingAsgiResponse]:
        """Request `path`; in the block, the response is there and its body comes as it is read.

        scope: more for the ASGI scope, or to replace what is in it.

        Leaving the block with the body unread is leaving as a client: the application is told, and waited
        for. What it raises is raised here.

        Raises: RuntimeError: if the application returned without a response.
        """
        path, _, query = path.partition("?")
        asked: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4" if self._raises_when_gone else "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "state": {},
            **scope,
        }
        outgoing, incoming = anyio.create_memory_object_stream[Message](0)
        gone = anyio.Event()
        response = StreamingAsgiResponse(incoming, gone)
        errors: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, asked, body, outgoing, gone, errors)
            async with incoming:
                if await response._start():
                    try:
                        yield response
                    except Exception as error:
                        errors.insert(0, error)
                    finally:
                        gone.set()
                elif not errors:
                    errors.append(RuntimeError("the application returned without a response"))
        # Only now, and bare: out of a task group it would come wrapped in a group.
        if errors:
            raise errors[0]

    async def _serve(
        self,
        scope: Scope,
        body: bytes,
        outgoing: MemoryObjectSendStream[Message],
        gone: anyio.Event,
        errors: list[Exception],
    ) -> None:
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if unread:
                return unread.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if not gone.is_set():
                try:
                    await outgoing.send(message)
                    return
                except anyio.BrokenResourceError:
                    gone.set()
            if self._raises_when_gone:
                raise OSError("the client is gone")

        async with outgoing:
            try:
                await self._app(scope, receive, send)
            except Exception as error:
                errors.append(error)


__all__ = ["StreamingAsgiClient", "StreamingAsgiResponse"]

"""The model server of the demo: a process of its own, so that a blocked app does not slow the model down.

Run as `python -m firsttoken.cli._upstream`: the plan comes as one line of JSON on stdin, and the end of
stdin ends the process, however its parent went. On stdout, one line of JSON each: first the port, then a
report per stream. Its event loop carries nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from hashlib import sha256
from typing import Any, Final

import httpx

from firsttoken.cli._plan import Plan
from firsttoken.cli._wire import Piece
from firsttoken.export._endpoint import without_credentials

#: Which stream of the plan a request is for.
STREAM_HEADER: Final = "x-demo-stream"
#: An upstream that breaks is silent for this long first, as they are.
_SILENCE_S: Final = 0.5


class Refused(Exception):
    """The real upstream answered with something else than a stream, or broke off in the middle of it.

    status: of its answer; 502 if there was none.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Upstream:
    """Answers one request per connection, as the plan has it, and reports what became of it."""

    def __init__(self, plan: Plan, client: httpx.AsyncClient) -> None:
        self._plan = plan
        self._client = client

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            headers, body = await _request(reader)
            number = int(headers.get(STREAM_HEADER, "0"))
            response = _Response(self._plan, number, reader, writer)
            try:
                await response.send(self._pieces(number, body))
            finally:
                _tell(response.report())
        with suppress(OSError):
            writer.close()
            await writer.wait_closed()

    def _pieces(self, number: int, body: bytes) -> AsyncGenerator[Piece, None]:
        if self._plan.url is None:
            return _listed(self._plan.wire(number))
        return relayed(self._client, self._plan.url, body)


class _Response:
    """One response on its way."""

    def __init__(
        self, plan: Plan, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._number = number
        self._cut = plan.cut(number)
        self._content_type = plan.content_type
        self._writer = writer
        self._digest = sha256()
        self._sent = 0
        self._ended = "interrupted"
        self._status: int | None = None
        self._due_s = time.monotonic()
        # The app says nothing more: whatever this read returns, the connection is gone.
        self._gone = asyncio.ensure_future(reader.read(1))

    async def send(self, pieces: AsyncGenerator[Piece, None]) -> None:
        """Send the pieces, each when it is due, until they end, the plan cuts them, or the app is gone."""
        try:
            async with aclosing(pieces):
                self._ended = await self._send(pieces)
        except Refused as refusal:
            self._ended = f"refused: {refusal}"
            if self._status is not None:
                self._writer.transport.abort()
                return
            await self._head(refusal.status)
            await self._chunk(str(refusal).encode())
            await self._chunk(b"")
        finally:
            self._gone.cancel()

    def report(self) -> dict[str, Any]:
        """Return what became of the response."""
        return {
            "stream": self._number,
            "status": self._status,
            "bytes": self._sent,
            "sha256": self._digest.hexdigest(),
            "ended": self._ended,
            "ended_ns": time.time_ns(),
        }

    async def _send(self, pieces: AsyncIterator[Piece]) -> str:
        async for delay_s, data in pieces:
            if self._status is None:
                await self._head(200)
            if await self._app_left(delay_s):
                return "app left"
            if self._cut is not None and self._sent + len(data) > self._cut.after_bytes:
                return await self._break_off(data, self._cut.after_bytes - self._sent)
            await self._chunk(data)
        await self._chunk(b"")
        return "complete"

    async def _break_off(self, data: bytes, size: int) -> str:
        if size > 0:
            await self._chunk(data[:size])
        if await self._app_left(_SILENCE_S):
            return "app left"
        assert self._cut is not None
        if self._cut.cleanly:
            await self._chunk(b"")
            return "cut short"
        self._writer.transport.abort()
        return "connection cut"

    async def _app_left(self, delay_s: float) -> bool:
        """Wait until the next piece is due; return whether the app hung up meanwhile."""
        self._due_s = max(self._due_s + delay_s, time.monotonic() - 1.0)
        left_s = self._due_s - time.monotonic()
        if left_s > 0:
            await asyncio.wait({self._gone}, timeout=left_s)
        return self._gone.done()

    async def _head(self, status: int) -> None:
        self._status = status
        self._writer.write(
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\n"
            f"content-type: {self._content_type}\r\n"
            "transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode()
        )
        await self._writer.drain()

    async def _chunk(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()
        self._digest.update(data)
        self._sent += len(data)


async def relayed(client: httpx.AsyncClient, url: str, body: bytes) -> AsyncGenerator[Piece, None]:
    """Ask the real upstream and yield what it sends, as it comes.

    Raises: Refused: if it answers with anything but 200, or not at all, or breaks off.
    """
    shown = without_credentials(url)
    try:
        async with client.stream("POST", url, content=body) as response:
            if response.status_code != 200:
                raise Refused(response.status_code, f"{shown} answered {response.status_code}")
            async for chunk in response.aiter_raw():
                yield Piece(0.0, chunk)
    except httpx.HTTPError as error:
        raise Refused(502, f"{shown}: {type(error).__name__}") from error


def relaying_client(key: str | None) -> httpx.AsyncClient:
    """Return the client for a real upstream: one for all requests, as a server would have it."""
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(headers=headers, limits=limits, timeout=httpx.Timeout(10.0, read=None))


async def _listed(pieces: Iterable[Piece]) -> AsyncGenerator[Piece, None]:
    for piece in pieces:
        yield piece


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    return headers, await reader.readexactly(int(headers.get("content-length", "0")))


def _tell(report: dict[str, Any]) -> None:
    print(json.dumps(report), flush=True)


async def serve(plan: Plan) -> None:
    """Serve until stdin ends."""
    async with relaying_client(os.environ.get(plan.key_env)) as client:
        server = await asyncio.start_server(Upstream(plan, client).answer, "127.0.0.1", 0)
        _tell({"port": server.sockets[0].getsockname()[1]})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        server.close()


def main() -> None:
    """Read the plan and serve."""
    plan = Plan(**json.loads(sys.stdin.buffer.readline()))
    asyncio.run(serve(plan))


if __name__ == "__main__":
    main()

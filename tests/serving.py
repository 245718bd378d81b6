"""Real servers on loopback, and clients on bare sockets that can leave when they like."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import uvicorn


@asynccontextmanager
async def on_uvicorn(app: Any) -> AsyncIterator[int]:
    """Serve `app` over HTTP/1.1; yield the port; wait until every request is over. Only on asyncio."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def on_hypercorn(app: Any, backend: str) -> AsyncIterator[int]:
    """Serve `app` over HTTP/2 and HTTP/1.1; yield the port; wait until every request is over."""
    import hypercorn.asyncio
    import hypercorn.trio

    serve: Any = hypercorn.trio.serve if backend == "trio" else hypercorn.asyncio.serve
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = hypercorn.Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.errorlog = None
        stopped = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve(app, config, shutdown_trigger=stopped.wait, mode="asgi"))
            try:
                yield listener.getsockname()[1]
            finally:
                stopped.set()
        # The server closed the descriptor that it was given.
        listener.detach()


@asynccontextmanager
async def on_granian(app: Any) -> AsyncIterator[int]:
    """Serve `app` over HTTP/2 from the same loop; yield the port. Only on asyncio."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # It opens its own socket: this one only finds a port that is free.
        port: int = listener.getsockname()[1]
    server = Server(
        app, "127.0.0.1", port, interface=Interfaces.ASGI, http=HTTPModes.http2, log_enabled=False
    )
    serving = asyncio.create_task(server.serve())
    try:
        await _listening(port, serving)
        yield port
    finally:
        server.stop()
        await serving


async def _listening(port: int, serving: asyncio.Task[Any]) -> None:
    with anyio.fail_after(30):
        while not serving.done():
            try:
                async with await anyio.connect_tcp("127.0.0.1", port):
                    return
            except OSError:
                await anyio.sleep(0.01)
    serving.result()


@asynccontextmanager
async def http1_get(port: int, path: str) -> AsyncIterator[anyio.abc.SocketStream]:
    """Request `path`; yield the connection; leaving the block is leaving as a client."""
    async with await anyio.connect_tcp("127.0.0.1", port) as connection:
        await connection.send(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        yield connection


async def until(connection: anyio.abc.SocketStream, wanted: bytes) -> bytes:
    """Return what came, once `wanted` is in it."""
    received = b""
    while wanted not in received:
        received += await connection.receive()
    return received


@asynccontextmanager
async def http2_get_and_reset(port: int, path: str, wanted: bytes) -> AsyncIterator[None]:
    """Request `path` over HTTP/2, and reset the stream once `wanted` came; the connection stays up."""
    import h2.connection
    import h2.events

    async with await anyio.connect_tcp("127.0.0.1", port) as connection:
        client = h2.connection.H2Connection()
        client.initiate_connection()
        names = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "test"}
        client.send_headers(1, list(names.items()), end_stream=True)
        await connection.send(client.data_to_send())
        received = b""
        while wanted not in received:
            for event in client.receive_data(await connection.receive()):
                if isinstance(event, h2.events.DataReceived):
                    received += event.data
                    client.acknowledge_received_data(len(event.data), 1)
            await connection.send(client.data_to_send())
        client.reset_stream(1)
        await connection.send(client.data_to_send())
        yield

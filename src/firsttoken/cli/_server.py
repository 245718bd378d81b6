"""The chat app on uvicorn, in a thread of its own with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from types import TracebackType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from firsttoken._asgi_types import App, Receive, Scope, Send
from firsttoken.asgi import StreamTraceMiddleware
from firsttoken.errors import FirstTokenError

_START_TIMEOUT_S: Final = 15.0
_STOP_TIMEOUT_S: Final = 4.0
#: Where the app lists the streams that still run.
LIVE_PATH: Final = "/debug/streams"
#: What the kernel may keep unsent for a client that does not read, where it can be told.
_UNSENT_BYTES: Final = 1


class _NoBuffer(H11Protocol):
    """HTTP that piles nothing up: an app that sends to a slow client waits for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)


def listen() -> socket.socket:
    """Return a socket that is bound to 127.0.0.1, so that its URL is known before there is an app."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Accepted sockets inherit it. (A small SO_SNDBUF makes loopback wait for delayed ACKs.)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    bound.bind(("127.0.0.1", 0))
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of an app on such a socket."""
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


class AppServer:
    """Serves `app` on a socket of `listen` while entered, and beside it the streams that still run."""

    def __init__(self, app: FastAPI, bound: socket.socket) -> None:
        config = uvicorn.Config(
            _with_live_streams(app),
            http=_NoBuffer,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._socket = bound
        self.url = url_of(bound)
        self._thread = threading.Thread(target=self._serve, name="demo-app", daemon=True)

    def __enter__(self) -> AppServer:
        self._thread.start()
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise FirstTokenError("the demo's chat app did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_STOP_TIMEOUT_S)

    def _serve(self) -> Any:
        # Its warnings of writes to a client that has just left would tear the table.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        self._server.run(sockets=[self._socket])


def _with_live_streams(app: FastAPI) -> App:
    """Answer one path beside the app: its own streams are traced where it says so, and nowhere else."""
    live = StreamTraceMiddleware(app, debug_path=LIVE_PATH)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        asked_for_live = scope["type"] == "http" and scope["path"] == LIVE_PATH
        await (live if asked_for_live else app)(scope, receive, send)

    return serve

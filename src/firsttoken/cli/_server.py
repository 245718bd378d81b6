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

from firsttoken.errors import FirstTokenError

_START_TIMEOUT_S: Final = 15.0
_STOP_TIMEOUT_S: Final = 4.0
#: What the kernel may keep unsent for a client that does not read, where it can be told.
_UNSENT_BYTES: Final = 1


class _NoBuffer(H11Protocol):
    """HTTP that piles nothing up: an app that sends to a slow client waits for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)


class AppServer:
    """Serves `app` on 127.0.0.1 while it is entered."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            http=_NoBuffer,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Accepted sockets inherit it. (A small SO_SNDBUF makes loopback wait for delayed ACKs.)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
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

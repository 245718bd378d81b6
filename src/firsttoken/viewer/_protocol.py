"""Connections that are not worth waiting for. Floor 5 (viewer; uvicorn); the server's event loop.

Only so many connections are served at a time, and uvicorn waits for ever for a request to begin and for an
answer to be taken: a few hundred that do neither would lock everybody out.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

#: From a connection's begin, or a request's first byte, to the end of that request's head.
HEAD_TIMEOUT_S: Final = 30.0
#: Without a single byte of an answer taken.
TAKE_TIMEOUT_S: Final = 30.0


class Protocol(H11Protocol):
    """HTTP/1.1 that ends connections on which nothing moves."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._take_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, but not for long."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._forget_head()
        self._forget_taking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some of a request; of one whose head is not whole yet, each byte gives no more time."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._forget_head()

    def pause_writing(self) -> None:
        """Wait for the client to take what was sent, while it takes any."""
        super().pause_writing()
        self._wait_for_taking()

    def resume_writing(self) -> None:
        """Send on."""
        self._forget_taking()
        super().resume_writing()

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _wait_for_taking(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._wait_for_taking()
            else:
                self.transport.abort()

        self._take_timer = self.loop.call_later(TAKE_TIMEOUT_S, look)

    def _forget_taking(self) -> None:
        if self._take_timer is not None:
            self._take_timer.cancel()
            self._take_timer = None

"""Tell whoever watches that something changed. Floor 5 (viewer); the server's event loop.

The writer's thread and the poll of live streams note that there is news; a watcher hears of it at most four
times a second, however much there was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec

WATCHERS_MAX: Final = 100
_APART_S: Final = 0.25
_PING_S: Final = 15.0


class Changes:
    """News, and those who wait for it."""

    def __init__(self) -> None:
        self.version = 0
        self.watchers = 0
        self._live = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closed = False

    def begin(self, version: int) -> None:
        """Take the running event loop as the one that watchers are on."""
        self._loop = asyncio.get_running_loop()
        self.version = version

    def stored(self, version: int) -> None:
        """Note a new version of the store; on any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._stored, version)
            except RuntimeError:  # it was closed in between
                return

    def live(self) -> None:
        """Note that the live streams are others now; on the loop."""
        self._live += 1
        self._wake()

    def close(self) -> None:
        """Let all watchers go; on the loop."""
        self._closed = True
        self._wake()

    async def watch(self) -> AsyncIterator[bytes]:
        """Yield SSE events: one at once, then one after each change."""
        self.watchers += 1
        try:
            seen_live = self._live
            told: tuple[int, int] | None = None
            while not self._closed:
                now = (self.version, self._live)
                if now != told:
                    told = now
                    news = {"version": self.version, "live": self._live != seen_live}
                    seen_live = self._live
                    yield b"data: " + msgspec.json.encode(news) + b"\n\n"
                    await asyncio.sleep(_APART_S)
                elif not await self._wait():
                    yield b": ping\n\n"
        finally:
            self.watchers -= 1

    async def _wait(self) -> bool:
        """Return whether there was news before a ping is due."""
        until_s = time.monotonic() + _PING_S
        news = self._news
        try:
            await asyncio.wait_for(news.wait(), until_s - time.monotonic())
        except asyncio.TimeoutError:
            return False
        return True

    def _stored(self, version: int) -> None:
        self.version = version
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

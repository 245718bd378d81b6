"""The event loop that runs in this thread, found without importing any: asyncio, uvloop or trio.

Floor 4. `running` is called on the loop's thread, `send` and `life` on the watchdog thread. A program that
has not imported asyncio or trio cannot be running it, so `sys.modules` says all there is to know.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

Life = Literal["running", "stopped", "closed"]


class AsyncioLoop:
    """An asyncio loop of any make (uvloop too), seen from another thread."""

    __slots__ = ("handle",)

    def __init__(self, loop: Any) -> None:
        self.handle = loop

    def send(self, answer: Callable[[], None]) -> None:
        """Ask the loop to call `answer`.

        Raises:
            RuntimeError: if the loop is closed.
        """
        self.handle.call_soon_threadsafe(answer)

    def life(self, answer: Callable[[], None]) -> Life:
        """Tell whether silence means anything: a loop that is not being run owes no answer."""
        if self.handle.is_closed():
            return "closed"
        return "running" if self.handle.is_running() else "stopped"

    @staticmethod
    async def sleep(delay_s: float) -> None:
        """Let the loop go on for a while."""
        await sys.modules["asyncio"].sleep(delay_s)


class TrioLoop:
    """One call of `trio.run`, seen from another thread."""

    __slots__ = ("handle",)

    def __init__(self, token: Any) -> None:
        self.handle = token

    def send(self, answer: Callable[[], None]) -> None:
        """Ask the run to call `answer`.

        Raises:
            RuntimeError: if the run is over.
        """
        self.handle.run_sync_soon(answer, idempotent=True)

    def life(self, answer: Callable[[], None]) -> Life:
        """Tell whether the run still goes on. The public way to ask is to send again: it is idempotent."""
        try:
            self.send(answer)
        except RuntimeError:
            return "closed"
        return "running"

    @staticmethod
    async def sleep(delay_s: float) -> None:
        """Let the run go on for a while."""
        await sys.modules["trio"].sleep(delay_s)


class NoLoop:
    """In place of a loop that is no longer watched, so that it is not kept alive."""

    __slots__ = ("handle",)

    def __init__(self) -> None:
        self.handle: object = self

    def send(self, answer: Callable[[], None]) -> None:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("this loop is no longer watched")

    def life(self, answer: Callable[[], None]) -> Life:
        """Tell that it is over."""
        return "closed"

    @staticmethod
    async def sleep(delay_s: float) -> None:
        """Return at once."""


NO_LOOP = NoLoop()
Loop = AsyncioLoop | TrioLoop | NoLoop


def running() -> object | None:
    """Return the asyncio loop or trio token that runs in this thread, None in code without a loop."""
    asyncio = sys.modules.get("asyncio")
    loop: object | None = asyncio and getattr(asyncio, "_get_running_loop", _none)()
    if loop is not None:
        return loop
    trio = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        token: object = trio.lowlevel.current_trio_token()
    except (RuntimeError, AttributeError):  # not inside a run, or half imported
        return None
    return token


def _none() -> None:
    return None


def loop_of(handle: object) -> AsyncioLoop | TrioLoop:
    """Wrap what `running` found."""
    return AsyncioLoop(handle) if hasattr(handle, "call_soon_threadsafe") else TrioLoop(handle)

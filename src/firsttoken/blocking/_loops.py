"""The event loop that runs in this thread, found without importing any: asyncio, uvloop or trio.

Floor 4. `running` and `learn` are called on the loop's thread, everything else on the watchdog thread. A
program that has not imported asyncio or trio cannot be running it, so `sys.modules` says all there is to
know.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Literal

from firsttoken._clock import NS_PER_S

Life = Literal["running", "stopped", "closed"]

#: Where asyncio's own loops wait, called by their `_run_once`.
#: (A tuple: what a module calls itself may be anything, and not all of that can be looked up in a set.)
_WAITERS = ("selectors", "asyncio.windows_events")


class AsyncioLoop:
    """An asyncio loop of any make (uvloop too), seen from another thread."""

    __slots__ = ("_runner", "_turn", "handle")

    def __init__(self, loop: Any) -> None:
        self.handle = loop
        self._runner: tuple[CodeType, int] | None = None
        self._turn = _turn_of(loop)

    def learn(self, caller: FrameType | None) -> None:
        """Note who called a callback of ours: where the loop has no frames of its own, whoever runs it."""
        if caller is not None and caller.f_globals.get("__name__") != "asyncio.events":
            self._runner = caller.f_code, caller.f_lasti

    def waits(self, frame: FrameType) -> bool:
        """Tell whether the loop waits for something to do; False if that is not certain.

        frame: the innermost of its thread.
        """
        if self._runner is not None:
            return (frame.f_code, frame.f_lasti) == self._runner
        while frame.f_globals.get("__name__") in _WAITERS and frame.f_back is not None:
            frame = frame.f_back
            if frame.f_globals.get("__name__") == "asyncio.base_events":
                return True
        return False

    def turned_ns(self, frame: FrameType) -> int | None:
        """Return when it last looked for what there is to do: what it found then has its turn since.

        On the monotonic clock; None where that cannot be seen.

        frame: the innermost of its thread.
        """
        if self._turn is None:
            return None
        found: FrameType | None = frame
        while found is not None and found.f_code is not self._turn:
            found = found.f_back
        turned_s = None if found is None else found.f_locals.get("end_time")
        return int(turned_s * NS_PER_S) if isinstance(turned_s, float) else None

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


def _turn_of(loop: Any) -> CodeType | None:
    """Return the code of one turn of an asyncio loop; None of a loop that has its own, or its own clock.

    Its local `end_time` is the time at which it had done with waiting, in every CPython so far.

    Source: asyncio/base_events.py, BaseEventLoop._run_once
    """
    base = getattr(sys.modules.get("asyncio.base_events"), "BaseEventLoop", None)
    kind = type(loop)
    if (
        base is None
        or not isinstance(loop, base)
        or (kind._run_once, kind.time) != (base._run_once, base.time)
    ):
        return None
    code: CodeType | None = getattr(base._run_once, "__code__", None)
    return code


class TrioLoop:
    """One call of `trio.run`, seen from another thread."""

    __slots__ = ("handle",)

    def __init__(self, token: Any) -> None:
        self.handle = token

    def learn(self, caller: FrameType | None) -> None:
        """Do nothing: trio's own frames tell all."""

    def waits(self, frame: FrameType) -> bool:
        """Tell whether the run waits for something to do.

        frame: the innermost of its thread.
        """
        return str(frame.f_globals.get("__name__")).startswith("trio._core._io_")

    def turned_ns(self, frame: FrameType) -> int | None:
        """Tell that nobody knows."""
        return None

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

    def learn(self, caller: FrameType | None) -> None:
        """Do nothing."""

    def waits(self, frame: FrameType) -> bool:
        """Tell that nobody knows."""
        return False

    def turned_ns(self, frame: FrameType) -> int | None:
        """Tell that nobody knows."""
        return None

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

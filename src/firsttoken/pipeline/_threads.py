"""Blocking calls in worker threads: waiting for a thread told apart from running in one. Floor 4 (wrap).

`run` is awaited on the loop; what it calls runs in a thread of anyio's pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread

from firsttoken import semconv
from firsttoken._clock import monotonic_ns, to_s
from firsttoken._think.blame import THREAD_POOL, Claim
from firsttoken.pipeline._putter import MAX_NOTED, NOTED_NS

T = TypeVar("T")


class ThreadCalls:
    """Calls that go to worker threads, one after the other.

    name: of the stream they are made for, for telling.
    limiter: whose threads; those that everything in anyio shares by default, if not given.
    """

    __slots__ = ("_limiter", "_name", "count", "run_ns", "wait_ns", "waits")

    def __init__(self, name: str, limiter: anyio.CapacityLimiter | None = None) -> None:
        if limiter is not None and not isinstance(limiter, anyio.CapacityLimiter):
            raise TypeError(
                f"limiter is an anyio.CapacityLimiter or None, not {type(limiter).__qualname__}"
            )
        self._name = name
        self._limiter = limiter
        self.count = 0
        self.wait_ns = 0
        self.run_ns = 0
        self.waits: list[Claim] = []

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call `function` in a worker thread and return what it returns. It cannot be interrupted there."""
        asked_ns = monotonic_ns()
        began_ns: int | None = None

        def timed() -> T:
            nonlocal began_ns
            began_ns = monotonic_ns()
            try:
                return function(*args)
            finally:
                self.run_ns += monotonic_ns() - began_ns

        self.count += 1
        try:
            return await to_thread.run_sync(timed, limiter=self._limiter)
        finally:
            # Cancelled while all threads were taken, it never began.
            self._note(asked_ns, monotonic_ns() if began_ns is None else began_ns)

    def _note(self, asked_ns: int, began_ns: int) -> None:
        self.wait_ns += began_ns - asked_ns
        if began_ns - asked_ns >= NOTED_NS and len(self.waits) < MAX_NOTED:
            self.waits.append(Claim(asked_ns, began_ns, THREAD_POOL, self._name))

    def attributes(self) -> dict[str, Any]:
        """Return what to tell of them; nothing if there were none."""
        if not self.count:
            return {}
        return {
            semconv.PIPELINE_THREAD_WAIT: to_s(self.wait_ns),
            semconv.PIPELINE_THREAD_RUN: to_s(self.run_ns),
        }


#: For clean-up, which must get through even if every thread of the pool is taken.
_CLOSING: Final = 1


async def call_apart(function: Callable[[], T]) -> T:
    """Call `function` in a worker thread outside of the pool's limit."""
    return await to_thread.run_sync(function, limiter=anyio.CapacityLimiter(_CLOSING))

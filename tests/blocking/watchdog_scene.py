"""A watchdog that runs on the test's own thread, its watches and the time, all in the hands of the test."""

from __future__ import annotations

from queue import Empty
from typing import Any

import pytest

from firsttoken.blocking import _watchdog as _watchdog
from firsttoken.blocking._evidence import Lateness, ThreadClocks
from firsttoken.blocking._watchdog import Watchdog

MS = 1_000_000


class FakeWatch:
    """A watch that lives for a number of ticks and notes what was done to it."""

    def __init__(
        self,
        clock: Any,
        *,
        ticks: int = 1,
        parks: bool = False,
        fails: bool = False,
        blind: type[Exception] | None = None,
    ) -> None:
        self.due_ns = clock()
        self.parked = False
        self.silent = False
        self.thread_id = -1
        self.done: list[Any] = []
        self.holders: list[int | None] = []
        self._clock, self._left, self._parks, self._fails = clock, ticks, parks, fails
        self._blind = blind

    def look(self, frames: Any, cpu_ns: int | None, holder: int | None) -> None:
        if self._blind is not None:
            raise self._blind("broken on purpose")
        self.holders.append(holder)

    def glance(self, frames: Any) -> None:
        self.done.append("glance")

    def tick(self, now_ns: int, suspended: bool) -> bool:
        self.done.append(("tick", suspended))
        if self._fails:
            raise LookupError("broken on purpose")
        self._left -= 1
        self.due_ns = now_ns + 25 * MS
        self.parked = self._parks and not self._left
        return self._left > 0

    def stop(self) -> None:
        self.done.append("stop")

    def close(self) -> None:
        self.done.append("close")


class ScriptedInbox:
    """Hands out watches, and lets time pass where the watchdog would sleep."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.script: list[Any] = []
        self.timeouts: list[float | None] = []
        self.at_once = 0
        """How many watches more to hand out although the watchdog has something to wait for."""

    def empty(self) -> bool:
        return len(self.script) <= 1  # the None that ends it

    def get(self, timeout: float | None) -> Any:
        self.timeouts.append(timeout)
        if timeout is not None and not self.at_once:
            self.scene.now_ns += round(timeout * 1e9) + self.scene.late_ns
            raise Empty
        self.at_once -= timeout is not None
        return self.script.pop(0)


class Scene:
    """A watchdog run on the test's own thread, over a script and a manual clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000 * MS
        self.late_ns = 0
        self.suspended = False
        self.holder: int | None = None
        self.order: list[str] = []
        monkeypatch.setattr(_watchdog, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(Lateness, "suspended", lambda *_: self.order.append("files") or self.suspended)
        monkeypatch.setattr(ThreadClocks, "busiest", lambda *_: self.order.append("clocks") or self.holder)
        self.watchdog = Watchdog()
        self.inbox = ScriptedInbox(self)
        self.watchdog._inbox = self.inbox  # type: ignore[assignment]

    def watch(self, **how: Any) -> FakeWatch:
        return FakeWatch(lambda: self.now_ns, **how)

    def run(self, *script: Any) -> None:
        self.inbox.script = [*script, None]
        self.watchdog._run()

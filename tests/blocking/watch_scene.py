"""One watch, its loop and the time, all in the hands of the test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from firsttoken.blocking import _lookout as _lookout
from firsttoken.blocking import _silence as _silence
from firsttoken.blocking import _watch as _watch
from firsttoken.blocking._culprit import LoopBlock
from firsttoken.blocking._evidence import NO_BASE, GcPause
from firsttoken.blocking._watch import Watch

MS = 1_000_000
THRESHOLD_MS = 50
#: The loop is looked at this often, so the begin of a block is known to half of that.
PERIOD_MS = THRESHOLD_MS / 4
OTHER_THREAD = -7


class FakeLoop:
    """A loop that answers when the test says so."""

    def __init__(self) -> None:
        self.handle = object()
        self.life_now = "running"
        self.is_waiting = False
        self.turned_at_ns: int | None = None
        self.waiting: list[Callable[[], None]] = []

    def send(self, answer: Callable[[], None]) -> None:
        if self.life_now == "closed":
            raise RuntimeError("closed")
        self.waiting.append(answer)

    def learn(self, caller: FrameType | None) -> None:
        pass

    def waits(self, frame: FrameType) -> bool:
        return self.is_waiting

    def turned_ns(self, frame: FrameType) -> int | None:
        return self.turned_at_ns

    def life(self, answer: Callable[[], None]) -> str:
        return self.life_now

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Scene:
    """One watch, its loop, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000_000 * MS
        self.cpu_ns = 0
        self.delay_ns = 0
        self.pauses: list[GcPause] = []
        self.blocks: list[LoopBlock] = []
        self.resumed: list[Watch] = []
        for module in (_watch, _lookout):
            monkeypatch.setattr(module, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(_watch, "time", SimpleNamespace(thread_time_ns=lambda: self.cpu_ns))
        counter = SimpleNamespace(read_ns=lambda: self.delay_ns)
        monkeypatch.setattr(_silence, "RunDelay", lambda native_id: counter)
        monkeypatch.setattr(_watch, "base_of_callback", lambda _: NO_BASE)
        monkeypatch.setattr(_silence, "thread_name", lambda thread_id: f"thread {thread_id}")
        monkeypatch.setattr(_silence, "gc_pauses", SimpleNamespace(within=lambda since, until: self.pauses))
        self.loop = FakeLoop()
        self.watch = Watch(self.loop, THRESHOLD_MS * MS, self.blocks.append, self.resumed.append)  # type: ignore[arg-type]
        assert self.watch.enter(self.loop.handle)

    def after(self, ms: float, cpu_ms: float = 0) -> Scene:
        self.now_ns += int(ms * MS)
        self.cpu_ns += int(cpu_ms * MS)
        return self

    def answer(self) -> Scene:
        self.loop.answer()
        return self

    def tick(self, *, look: bool = True, suspended: bool = False, holder: int | None = None) -> bool:
        if look:
            frame = sys._getframe()
            self.watch.look({threading.get_ident(): frame, OTHER_THREAD: frame}, self.cpu_ns, holder)
        return self.watch.tick(self.now_ns, suspended)

    def due(self, **how: Any) -> bool:
        """Tick at the moment the watch asked for, or now if that is over."""
        self.now_ns = max(self.now_ns, self.watch.due_ns)
        return self.tick(**how)

    def healthy(self) -> Scene:
        """One heartbeat sent and answered, and the next one just sent."""
        self.tick(look=False)
        self.after(0.2).answer()
        self.due(look=False)
        return self

    def block(self) -> LoopBlock:
        (block,) = self.blocks
        return block

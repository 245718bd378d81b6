"""The watchdog thread: whom it wakes for, what it does first, and how it ends."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest

from firsttoken.blocking import _watchdog as _watchdog
from firsttoken.blocking._evidence import Lateness, ThreadClocks
from firsttoken.blocking._watchdog import LATE_NS, Watchdog

MS = 1_000_000


class FakeWatch:
    """A watch that lives for a number of ticks and notes what was done to it."""

    def __init__(self, clock: Any, *, ticks: int = 1, parks: bool = False, fails: bool = False) -> None:
        self.due_ns = clock()
        self.parked = False
        self.silent = False
        self.thread_id = -1
        self.done: list[Any] = []
        self.holders: list[int | None] = []
        self._clock, self._left, self._parks, self._fails = clock, ticks, parks, fails

    def look(self, frames: Any, cpu_ns: int | None, holder: int | None) -> None:
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


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    callbacks = list(gc.callbacks)
    yield Scene(monkeypatch)
    assert gc.callbacks == callbacks


def test_while_nothing_is_watched_the_thread_sleeps_without_a_timeout(scene: Scene) -> None:
    scene.run(scene.watch(ticks=3))
    assert scene.inbox.timeouts == [None, 0.025, 0.025, None]
    assert scene.watchdog.wakeups == 3


def test_every_watch_is_ticked_when_it_is_due_and_no_sooner(scene: Scene) -> None:
    soon, later = scene.watch(ticks=2), scene.watch(ticks=1)
    later.due_ns += 60 * MS
    scene.inbox.at_once = 1
    scene.run(soon, later)
    assert soon.done == [("tick", False), ("tick", False), "stop"]
    assert later.done == [("tick", False), "stop"]


def test_a_late_wake_takes_the_stacks_before_anything_gives_up_the_interpreter(scene: Scene) -> None:
    scene.late_ns, scene.holder = LATE_NS, 42
    watch = scene.watch(ticks=2)
    watch.look = lambda frames, cpu_ns, holder: scene.order.append(f"look {holder}")  # type: ignore[method-assign]
    scene.run(watch)
    assert scene.order == ["look None", "clocks", "look 42", "files"]


def test_a_punctual_wake_looks_at_the_loop_and_for_no_holder(scene: Scene) -> None:
    watch = scene.watch(ticks=2)
    scene.run(watch)
    assert watch.holders == [None, None]
    assert scene.order == []


def test_a_glance_is_at_loops_that_are_late(scene: Scene) -> None:
    late, punctual = scene.watch(), scene.watch()
    late.due_ns = scene.now_ns - LATE_NS
    scene.watchdog._watches = (late, punctual)  # type: ignore[assignment]
    scene.watchdog.glance()
    assert (late.done, punctual.done) == (["glance"], [])


class Held:
    """Somebody's variable."""


def test_a_glance_keeps_nobodys_variables(scene: Scene) -> None:
    late = scene.watch()
    late.due_ns = scene.now_ns - LATE_NS
    scene.watchdog._watches = (late,)  # type: ignore[assignment]

    def program() -> weakref.ref[Held]:
        held = Held()
        scene.watchdog.glance()
        return weakref.ref(held)

    gc.disable()
    try:
        assert program()() is None
    finally:
        gc.enable()
    assert late.done == ["glance"]


def test_a_suspension_is_passed_on(scene: Scene) -> None:
    scene.late_ns, scene.suspended = LATE_NS, True
    watch = scene.watch(ticks=2)
    scene.run(watch)
    assert ("tick", True) in watch.done


def test_a_watch_that_fails_is_given_up_and_said_so(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    watch = scene.watch(ticks=5, fails=True)
    with caplog.at_level(logging.WARNING, "firsttoken"):
        scene.run(watch)
    assert watch.done == [("tick", False), "stop"]
    assert "gave up watching" in caplog.text


def test_a_watch_left_alone_is_not_stopped(scene: Scene) -> None:
    watch = scene.watch(ticks=1, parks=True)
    scene.run(watch)
    assert watch.done == [("tick", False)]


def test_at_the_end_every_watch_is_over_so_that_nobody_waits_for_it(scene: Scene) -> None:
    watch = scene.watch(ticks=100)
    scene.inbox.at_once = 1
    scene.run(watch)
    assert watch.done == [("tick", False), "stop"]


def test_a_watch_added_twice_is_ticked_once(scene: Scene) -> None:
    watch = scene.watch(ticks=2)
    scene.inbox.at_once = 1
    scene.run(watch, watch)
    assert watch.done == [("tick", False), ("tick", False), "stop"]


def run_python(code: str) -> str:
    """Run `code` in another interpreter; return what it printed. It must end well, and not complain."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_interpreter_exits_while_a_loop_is_watched() -> None:
    printed = run_python("""
        import asyncio
        from firsttoken.blocking import LoopMonitor

        async def main():
            LoopMonitor().enter()
            print("watched")

        asyncio.run(main())
    """)
    assert printed == "watched\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork_the_child_watches_afresh() -> None:
    printed = run_python("""
        import asyncio, os, sys, time, warnings
        warnings.simplefilter("ignore")
        from firsttoken.blocking import LoopMonitor

        monitor = LoopMonitor(on_block=lambda block: None)

        async def block():
            async with monitor:
                time.sleep(0.15)
            return len(monitor.blocks())

        async def hold_and_fork():
            watch = monitor.enter()
            child = os.fork()
            watch.leave()
            return child

        loop = asyncio.new_event_loop()
        child = loop.run_until_complete(hold_and_fork())
        if child == 0:
            told = asyncio.new_event_loop().run_until_complete(block())
            os._exit(told)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        loop.close()
    """)
    assert printed == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="SIGSTOP and /proc")
def test_a_process_that_was_stopped_and_goes_on_has_had_no_block() -> None:
    printed = run_python("""
        import asyncio, os, signal, subprocess
        from firsttoken.blocking import LoopMonitor

        async def main():
            async with LoopMonitor(threshold_s=0.25, on_block=print):
                await asyncio.sleep(0.2)
                stop = f"kill -STOP {os.getpid()}; sleep 0.8; kill -CONT {os.getpid()}"
                done = await asyncio.create_subprocess_exec("sh", "-c", stop)
                await done.wait()
            print("end")

        asyncio.run(main())
    """)
    assert printed == "end\n"

"""The watchdog thread: whom it wakes for, what it does first, and how it ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from firsttoken._guard import fault_counts
from firsttoken.blocking._evidence import ThreadClocks
from firsttoken.blocking._watchdog import LATE_NS, Watchdog
from tests.blocking.watchdog_scene import MS, FakeWatch, Scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    callbacks = list(gc.callbacks)
    yield Scene(monkeypatch)
    assert gc.callbacks == callbacks


def faults() -> int:
    return fault_counts().get("watch an event loop", 0)


def raising_once(method: Callable[..., Any]) -> Callable[..., Any]:
    errors = [LookupError("broken on purpose")]

    def raises_once(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return method(*arguments)

    return raises_once


def exiting(*_: object) -> bool:
    raise SystemExit


def joined(watchdog: Watchdog) -> None:
    assert watchdog._thread is not None
    watchdog._thread.join(30)
    assert not watchdog._thread.is_alive()


def test_while_nothing_is_watched_the_thread_sleeps_without_a_timeout(scene: Scene) -> None:
    scene.run(scene.watch(ticks=3))
    assert scene.inbox.timeouts == [None, 0.025, 0.025, None]
    assert scene.watchdog.wakeups == 3


def test_every_watch_is_ticked_when_it_is_due_and_no_sooner(scene: Scene) -> None:
    soon, later = scene.watch(ticks=2), scene.watch(ticks=1)
    later.due_ns += 60 * MS
    scene.inbox.at_once = 1
    scene.run(soon, later)
    assert soon.done == [("tick", False), ("tick", False), "stop", "close"]
    assert later.done == [("tick", False), "stop", "close"]


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


@pytest.mark.parametrize("how", [{"fails": True}, {"blind": LookupError}])
def test_a_watch_that_fails_is_given_up_and_counted_and_the_others_are_not(scene: Scene, how: Any) -> None:
    before = faults()
    watch, other = scene.watch(ticks=5, **how), scene.watch(ticks=3)
    watch.due_ns = other.due_ns = scene.now_ns + MS
    scene.inbox.at_once = 1
    scene.run(watch, other)
    assert watch.done == [*[("tick", False)] * how.get("fails", False), "stop", "close"]
    assert other.done == [*[("tick", False)] * 3, "stop", "close"]
    assert faults() == before + 1


def test_what_fails_for_all_gives_up_those_it_held_and_goes_on_with_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first, second = faults(), scene.watch(ticks=5), scene.watch(ticks=2)
    monkeypatch.setattr(ThreadClocks, "expect", raising_once(ThreadClocks.expect))
    scene.run(first, second)
    assert first.done == ["stop", "close"]
    assert second.done == [("tick", False), ("tick", False), "stop", "close"]
    assert faults() == before + 1


def test_a_thread_that_ended_is_started_anew_for_the_next_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    watchdog = Watchdog()
    first, second = FakeWatch(time.monotonic_ns), FakeWatch(time.monotonic_ns)
    first.tick = exiting  # type: ignore[method-assign]
    watchdog.add(first)  # type: ignore[arg-type]
    joined(watchdog)
    assert first.done == ["stop", "close"]
    watchdog.add(second)  # type: ignore[arg-type]
    watchdog.stop()
    joined(watchdog)
    assert [done for done in second.done if "tick" not in done] == ["stop", "close"]
    assert len(second.done) == 3


def test_a_watch_that_comes_after_the_end_is_over_and_starts_no_thread() -> None:
    watchdog = Watchdog()
    watchdog.stop()
    watch = FakeWatch(time.monotonic_ns)
    watchdog.add(watch)  # type: ignore[arg-type]
    assert watch.done == ["stop"]
    assert watchdog._thread is None


def test_a_watch_left_alone_is_not_stopped(scene: Scene) -> None:
    watch = scene.watch(ticks=1, parks=True)
    scene.run(watch)
    assert watch.done == [("tick", False)]


def test_at_the_end_every_watch_is_over_so_that_nobody_waits_for_it(scene: Scene) -> None:
    watch = scene.watch(ticks=100)
    scene.inbox.at_once = 1
    scene.run(watch)
    assert watch.done == [("tick", False), "stop", "close"]


def test_a_watch_added_twice_is_ticked_once(scene: Scene) -> None:
    watch = scene.watch(ticks=2)
    scene.inbox.at_once = 1
    scene.run(watch, watch)
    assert watch.done == [("tick", False), ("tick", False), "stop", "close"]


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

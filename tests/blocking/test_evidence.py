"""What is read off threads: stacks, collector pauses, clocks, and why a wait ended late."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from firsttoken.blocking import _evidence as _evidence
from firsttoken.blocking._culprit import Frame
from firsttoken.blocking._evidence import (
    MAX_FRAMES,
    NO_BASE,
    Base,
    Lateness,
    base_of_callback,
    base_of_task,
    capture,
    run_delay_ns,
    thread_frames,
    thread_name,
    was_suspended,
)

trio = pytest.importorskip("trio")


def names(stack: tuple[Frame, ...]) -> list[str]:
    return [frame.function.rpartition(".")[2] for frame in stack]


#: A collection in the midst of reading frames would run this, and with it read frames again, for ever.
_COLLECTS_ALL_THE_TIME = """
import faulthandler, gc, sys, threading
from firsttoken.blocking._evidence import thread_frames

faulthandler.dump_traceback_later(60, exit=True)
stays = threading.Event()
for _ in range(20):
    threading.Thread(target=stays.wait, daemon=True).start()
gc.callbacks.append(lambda *_: sys._current_frames())
gc.set_threshold(1)
print(min(len(thread_frames()) for _ in range(200)), gc.isenabled())
gc.disable()
print(min(len(thread_frames()) for _ in range(200)), gc.isenabled())
"""


def test_a_collection_of_garbage_never_falls_into_the_reading_of_frames() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _COLLECTS_ALL_THE_TIME],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.stdout, ended.stderr) == ("21 True\n21 False\n", "")


@pytest.mark.skipif(not (3, 11) <= sys.version_info < (3, 11, 9), reason="no collector is turned off here")
def test_a_collector_that_is_turned_off_meanwhile_stays_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def is_on_and_then_off() -> bool:
        asked.append(gc.isenabled())
        if len(asked) == 1:
            gc.disable()  # the program, on another thread
        return asked[-1]

    fakes = SimpleNamespace(isenabled=is_on_and_then_off, disable=gc.disable, enable=gc.enable)
    monkeypatch.setattr(_evidence, "gc", fakes)
    try:
        assert threading.get_ident() in thread_frames()
        assert asked[0]
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_stack_is_captured_innermost_first_without_frame_objects() -> None:
    def inner() -> Any:
        return capture(sys._getframe())

    stack = inner()
    assert names(stack)[:2] == ["inner", "test_a_stack_is_captured_innermost_first_without_frame_objects"]
    assert stack[0].file == __file__
    assert stack[0].line == inner.__code__.co_firstlineno + 1


def test_a_deep_stack_is_captured_down_to_a_bound() -> None:
    def deep(left: int) -> Any:
        return deep(left - 1) if left else capture(sys._getframe())

    assert len(deep(2 * MAX_FRAMES)) == MAX_FRAMES


def test_no_stack_is_captured_of_a_thread_that_is_gone() -> None:
    assert capture(thread_frames().get(-1)) == ()


MAIN, RUN, TASK, LINE = (
    Frame("/app/m.py", n, name) for n, name in enumerate(("main", "run", "task", "line"))
)


@pytest.mark.parametrize(
    ("stack", "inside"),
    [
        ((LINE, TASK, RUN, MAIN), (LINE, TASK)),
        ((RUN, MAIN), ()),
        ((MAIN,), ()),
        ((), ()),
        ((LINE, TASK, RUN), (LINE, TASK, RUN)),
    ],
    ids=["in a task", "idle", "shorter than the base", "empty", "another root"],
)
def test_the_frames_that_run_the_loop_are_cut_off(stack: Any, inside: Any) -> None:
    assert Base(2, MAIN.file, MAIN.function).cut(stack) == inside


def test_without_a_base_nothing_is_cut_off() -> None:
    assert NO_BASE.cut((LINE, MAIN)) == (LINE, MAIN)
    assert base_of_task(sys._getframe()) == NO_BASE
    assert base_of_callback(None) == NO_BASE


def test_in_asyncio_a_task_and_a_callback_have_the_same_base() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        loop.call_soon(lambda: answered.set_result(base_of_callback(sys._getframe(1))))
        base = await answered
        assert base == base_of_task(sys._getframe())
        assert names(base.cut(capture(sys._getframe()))) == ["main"]

    asyncio.run(main())


def test_in_trio_a_task_and_a_callback_have_the_same_base() -> None:
    async def main() -> None:
        bases: list[Base] = []
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(lambda: bases.append(base_of_callback(sys._getframe(1))))
        await trio.testing.wait_all_tasks_blocked()
        assert bases == [base_of_task(sys._getframe())]
        assert names(bases[0].cut(capture(sys._getframe()))) == ["main"]

    trio.run(main)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_linux_tells_how_long_a_thread_waited_for_the_processor() -> None:
    delay_ns = run_delay_ns(threading.get_native_id())
    assert delay_ns is not None
    assert delay_ns >= 0


def test_a_thread_that_does_not_exist_has_no_run_delay() -> None:
    assert run_delay_ns(2**30) is None


LATE_NS = 100_000_000
NOTHING = {
    "gil_waits": 1,
    "switch_interval_ns": 5_000_000,
    "process_cpu_ns": 100_000,
    "run_delay_ns": 50_000,
}


@pytest.mark.parametrize(
    ("counters", "suspended"),
    [
        ({}, True),
        ({"gil_waits": None, "run_delay_ns": None}, True),
        ({"gil_waits": 20}, False),
        ({"run_delay_ns": 90_000_000}, False),
        ({"process_cpu_ns": 95_000_000}, False),
        ({"gil_waits": None, "run_delay_ns": None, "process_cpu_ns": 95_000_000}, False),
    ],
    ids=[
        "nobody ran",
        "nobody ran, as far as other systems say",
        "waited for the interpreter",
        "waited for the processor",
        "somebody computed",
        "somebody computed, on other systems",
    ],
)
def test_a_late_wait_is_a_suspension_only_if_nobody_ran(counters: dict[str, Any], suspended: bool) -> None:
    assert was_suspended(LATE_NS, **{**NOTHING, **counters}) is suspended


def test_lateness_compares_the_counters_with_those_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    switches, delay_ns = 100, 7_000_000
    monkeypatch.setattr(_evidence, "_voluntary_switches", lambda: switches)
    monkeypatch.setattr(_evidence, "run_delay_ns", lambda _: delay_ns)
    monkeypatch.setattr(_evidence, "time", type("T", (), {"process_time_ns": staticmethod(lambda: 5)}))
    lateness = Lateness(1)
    lateness.expect(time.perf_counter_ns())
    assert lateness.suspended(LATE_NS)
    switches = 120
    assert not lateness.suspended(LATE_NS)
    switches, delay_ns = 100, 107_000_000
    assert not lateness.suspended(LATE_NS)


def test_run_delay_is_read_once_a_second_as_that_gives_up_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = []
    monkeypatch.setattr(_evidence, "run_delay_ns", reads.append)
    lateness = Lateness(1)
    for now_ms in range(1000, 3000, 25):
        lateness.expect(now_ms * 1_000_000)
    assert len(reads) == 2


def test_a_thread_has_its_name_and_a_gone_one_its_number() -> None:
    assert thread_name(threading.get_ident()) == threading.current_thread().name
    assert thread_name(-5) == "-5"

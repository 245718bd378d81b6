"""What can be known about a thread from outside: its stack, its waits, the collector's pauses.

Floor 4. `GcPauses` runs on whatever thread collects; all else on the watchdog thread, except the two
stack measurements that say so.
"""

from __future__ import annotations

import gc
import operator
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from threading import get_ident
from types import CodeType, FrameType
from typing import NamedTuple

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken.blocking._culprit import Frame, Stack
from firsttoken.blocking._run_delay import run_delay_ns

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_FRAMES = 128
MAX_THREADS = 64
LONG_PAUSE_NS = 5_000_000
_ASYNC_CODE = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE
_TRIO_ENTRY = "trio._core._entry_queue"


class Base(NamedTuple):
    """The frames that run the loop: how many there are, and which is the outermost."""

    depth: int
    file: str
    function: str

    def cut(self, stack: Stack) -> Stack:
        """Return `stack` without these frames; whole if its root is another: truncated, or a greenlet's."""
        if not stack or (stack[-1].file, stack[-1].function) != (self.file, self.function):
            return stack
        return stack[: max(0, len(stack) - self.depth)]


NO_BASE = Base(0, "", "")


def capture(frame: FrameType | None) -> Stack:
    """Copy a stack, innermost first, down to a bounded depth."""
    found: list[Frame] = []
    while frame is not None and len(found) < MAX_FRAMES:
        found.append(Frame(frame.f_code.co_filename, frame.f_lineno or 0, _name(frame.f_code)))
        frame = frame.f_back
    return tuple(found)


def thread_name(thread_id: int) -> str:
    """Return the name of a thread, its number if it has ended. Takes a lock: never inside the collector."""
    return next((t.name for t in threading.enumerate() if t.ident == thread_id), str(thread_id))


if sys.version_info >= (3, 11):

    def _name(code: CodeType) -> str:
        return code.co_qualname
else:

    def _name(code: CodeType) -> str:
        return code.co_name


def base_of_callback(caller: FrameType | None) -> Base:
    """Return the frames that run the loop, given the caller of a callback of ours. On the loop's thread.

    Trio calls through a task of its own, which is not below anybody else's task.
    """
    while caller is not None and caller.f_globals.get("__name__") == _TRIO_ENTRY:
        caller = caller.f_back
    return _base(caller)


def base_of_task(frame: FrameType | None) -> Base:
    """Return the frames outside the outermost coroutine of this stack. On the loop's thread, in a task."""
    outermost = None
    while frame is not None:
        if frame.f_code.co_flags & _ASYNC_CODE:
            outermost = frame
        frame = frame.f_back
    return NO_BASE if outermost is None else _base(outermost.f_back)


def _base(frame: FrameType | None) -> Base:
    depth, root = 0, None
    while frame is not None:
        depth, root = depth + 1, frame.f_code
        frame = frame.f_back
    return NO_BASE if root is None else Base(depth, root.co_filename, _name(root))


if sys.version_info >= (3, 13) and not sys._is_gil_enabled():

    def thread_frames() -> Mapping[int, FrameType]:
        """Return nothing: without the interpreter lock the stack of a running thread cannot be read."""
        return {}
elif sys.version_info >= (3, 11) and sys.version_info < (3, 11, 9):

    def thread_frames() -> Mapping[int, FrameType]:
        """Return the innermost frame of every thread.

        Here the call makes frames under a lock of the interpreter. A garbage collection in the midst of it
        runs Python code, which other threads interrupt, and all is over when one of them wants that lock.

        Source: https://github.com/python/cpython/issues/106883
        """
        if not gc.isenabled():
            return sys._current_frames()
        # In one call of C, so that no other thread runs while collections are off, nor turns them off.
        frames: Mapping[int, FrameType]
        calls = gc.isenabled, gc.disable, sys._current_frames, gc.enable
        was_on, _, frames, _ = list(map(operator.call, calls))
        if not was_on:
            gc.disable()
        return frames
else:

    def thread_frames() -> Mapping[int, FrameType]:
        """Return the innermost frame of every thread."""
        return sys._current_frames()


class GcPause(NamedTuple):
    """One long garbage collection, and where the program stood."""

    thread_id: int
    started_ns: int
    ended_ns: int
    stack: Stack


class GcPauses:
    """The last long garbage collections, noted through `gc.callbacks` while anything is watched.

    Cost: two calls a collection, timed by tests/bench/bench_blocking.py.
    """

    def __init__(self) -> None:
        self._started_ns = 0
        self._pauses: deque[GcPause] = deque(maxlen=64)

    def install(self) -> None:
        """Start to listen; twice is once."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def remove(self) -> None:
        """Stop to listen."""
        while self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._started_ns = monotonic_ns()
            return
        ended_ns = monotonic_ns()
        if self._started_ns and ended_ns - self._started_ns >= LONG_PAUSE_NS:
            # A thread may collect that runs no Python code but this.
            stack = capture(sys._getframe().f_back)
            self._pauses.append(GcPause(get_ident(), self._started_ns, ended_ns, stack))
        self._started_ns = 0

    def within(self, since_ns: int, until_ns: int) -> list[GcPause]:
        """Return the pauses that overlap this span."""
        return [p for p in self._pauses.copy() if p.ended_ns > since_ns and p.started_ns < until_ns]


gc_pauses = GcPauses()


class ThreadClocks:
    """Which thread computed during the last wait. Used on the watchdog thread alone."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def expect(self, frames: Mapping[int, FrameType]) -> None:
        """Note every thread's processor time before a wait. Cost: 0.6 us a thread, up to 64.

        frames: the innermost frame of every thread.
        """
        self._before = _processor_times(frames)

    def spent_ns(self, thread_id: int) -> int | None:
        """Return a thread's processor time as of the last `expect`; None if it is not known."""
        return self._before.get(thread_id)

    def busiest(self, frames: Mapping[int, FrameType], during_ns: int) -> int | None:
        """Return the thread that computed most of the last `during_ns`, None if none did.

        frames: the innermost frame of every thread.
        """
        spent = {key: now - self._before.get(key, 0) for key, now in _processor_times(frames).items()}
        busiest = max(spent, key=spent.__getitem__, default=None)
        return busiest if busiest is not None and spent[busiest] * 2 >= during_ns else None


if sys.platform == "linux":

    def _processor_times(frames: Mapping[int, FrameType]) -> dict[int, int]:
        """Return the processor time of every thread (ns), as far as `threading` knows it.

        Any of them may end while we ask: a collection of garbage in here gives up the interpreter. The
        kernel refuses the number of one that is gone; the C library would read its memory.

        Source: include/linux/posix-timers.h, CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED
        """
        if len(frames) > MAX_THREADS:
            return {}
        found: dict[int, int] = {}
        main = threading.main_thread()
        for thread in list(threading._active.values()):  # type: ignore[attr-defined]  # without its lock
            # In the child of a fork the main thread is still said to have the number it had in the parent.
            native_id = os.getpid() if thread is main else thread.native_id
            if thread.ident in frames and native_id is not None:
                try:
                    found[thread.ident] = time.clock_gettime_ns(~native_id << 3 | 6)
                except OSError:
                    continue
        return found
else:

    def _processor_times(frames: Mapping[int, FrameType]) -> dict[int, int]:
        return {}


def was_suspended(
    late_ns: int,
    *,
    gil_waits: int | None,
    switch_interval_ns: int,
    process_cpu_ns: int,
    run_delay_ns: int | None,
) -> bool:
    """Tell whether a thread that woke late was stopped with its whole process (SIGSTOP, a debugger, sleep).

    Any sign that somebody ran meanwhile speaks against it: a thread waiting for the interpreter wakes at
    every switch interval, one waiting for the processor is on a run queue, one holding the interpreter
    usually computes.
    """
    if gil_waits is not None and gil_waits * 2 * switch_interval_ns >= late_ns:
        return False
    if run_delay_ns is not None and run_delay_ns * 2 >= late_ns:
        return False
    return process_cpu_ns * 4 < late_ns


class Lateness:
    """Why the watchdog thread itself woke late. Used on that thread alone."""

    def __init__(self, native_id: int) -> None:
        self._native_id = native_id
        self._delay_ns: int | None = None
        self._delay_read_ns = 0
        self._switches: int | None = None
        self._process_ns = 0

    def expect(self, now_ns: int) -> None:
        """Note the counters before a wait; the file once a second, as reading gives up the interpreter."""
        if now_ns - self._delay_read_ns >= NS_PER_S:
            self._delay_ns = run_delay_ns(self._native_id)
            self._delay_read_ns = now_ns
        self._switches = _voluntary_switches()
        self._process_ns = time.process_time_ns()

    def suspended(self, late_ns: int) -> bool:
        """Tell whether the process was suspended for most of `late_ns`, the end of the last wait."""
        switches, delay_ns = _voluntary_switches(), run_delay_ns(self._native_id)
        self._delay_read_ns = 0
        return was_suspended(
            late_ns,
            gil_waits=None if switches is None or self._switches is None else switches - self._switches,
            switch_interval_ns=int(sys.getswitchinterval() * NS_PER_S),
            process_cpu_ns=time.process_time_ns() - self._process_ns,
            run_delay_ns=None if delay_ns is None or self._delay_ns is None else delay_ns - self._delay_ns,
        )


def _voluntary_switches() -> int | None:
    who = getattr(resource, "RUSAGE_THREAD", None)
    return None if who is None else resource.getrusage(who).ru_nvcsw

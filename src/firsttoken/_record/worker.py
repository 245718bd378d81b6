"""A background thread that is kind to the event loop. Floor 1 (record); `put` runs on any thread.

The event loop and this thread share one GIL, so how long we think matters less than how long we think
*without a pause*: a slice of 0.1 ms nobody notices, 5 ms everybody does. A step calls `breathe()`
between small pieces of work; when the slice is over, the thread sleeps and the loop runs. All workers of
a process take turns: were one to think while another naps, the loop would wait for both.

To change hands costs a busy loop up to 0.1 ms each time, so what is not urgent waits for a thread that
wakes anyway.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import sleep
from typing import Any, Final

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded, note_fault

SLICE_NS: Final = 120_000
NAP_NS: Final = 240_000
_AFTER_FAULT_S: Final = 0.1
_WAKE: Final = object()

Step = Callable[[list[Any]], "float | None"]


class _Request:
    """A wish to be told, put in line behind everything that was put before it."""

    __slots__ = ("met",)

    def __init__(self) -> None:
        self.met = threading.Event()


class Worker:
    """One daemon thread with a bounded inbox; it starts at the first item and rests when idle.

    name: the thread's name, as debuggers show it.
    step: called on the thread with the new items, in order; returns after how many seconds it wants to
        be called again without any, or None to rest until the next item.
    capacity: how many items may wait. One more is refused and counted in `dropped`.
    woken: called whenever the thread wakes, before anything else: it may have waited for the interpreter.

    `dropped` counts refused items; `asked` tells the step whether somebody waits for it to return.

    A forked child gets an empty inbox and a thread of its own: what was waiting belongs to the parent.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        *,
        capacity: int = 65_536,
        woken: Callable[[], object] | None = None,
    ) -> None:
        self._name = name
        self._woken = woken
        self._step = step
        self._capacity = capacity
        self._stopped = False
        self._reset()
        _workers.add(self)

    def _reset(self) -> None:
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._later: deque[object] = deque()
        self._rests = False
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._slice_ends_ns = 0
        self._hurried = self._stopped
        self._stop = _Request()
        if self._stopped:
            # In the child of one that was stopped there is nothing left to wait for.
            self._stop.met.set()
        self.asked = False
        self.dropped = 0

    def put(self, item: object, *, at_once: bool = True) -> bool:
        """Hand `item` over; return False, counting a drop, if the inbox is full or the worker stopped.

        Never blocks and may be called from anywhere, a weakref callback or `__del__` included.

        at_once: wake the thread for it, even if it wants to be called again without that.
        """
        if not self.accepts:
            self.dropped += 1
            return False
        if at_once:
            self._inbox.put(item)
        else:
            self._later.append(item)
            if self._rests:
                self._rests = False
                self._inbox.put(_WAKE)
        if self._thread is None:
            self._start()
        return True

    @property
    def accepts(self) -> bool:
        """Whether `put` would take an item now."""
        return not self._stopped and self._inbox.qsize() + len(self._later) < self._capacity

    def breathe(self) -> None:
        """Give the GIL away if this slice is over; called by the step, often."""
        if monotonic_ns() >= self._slice_ends_ns:
            self._begin_slice()

    def _begin_slice(self) -> None:
        if self._hurried:
            self._slice_ends_ns = monotonic_ns() + SLICE_NS
        else:
            self._slice_ends_ns = _wait_for_turn()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything put so far went through a step; return False if time ran out first."""
        if self._thread is None or self._stopped:
            return self._inbox.empty() and not self._later
        return self._ask(_Request(), timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Work off the inbox without naps; return False if time ran out first.

        Items put later are refused and counted as dropped. The thread ends when the step has no more to
        do, which may be later.
        """
        if self._stopped:
            return self._stop.met.wait(max(0.0, timeout_s))
        self._hurried = self._stopped = True
        if self._thread is not None:
            return self._ask(self._stop, timeout_s)
        # No thread was ever needed, or the interpreter would not give us one any more.
        self._turn(0)
        self._stop.met.set()
        return True

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on this worker's thread."""
        return threading.current_thread() is self._thread

    def _ask(self, request: _Request, timeout_s: float) -> bool:
        if self.is_current:
            # A step that waits for itself would wait for ever.
            return False
        self._inbox.put(request)
        return request.met.wait(max(0.0, timeout_s))

    def _start(self) -> None:
        # Who does not get the lock need not wait: whoever has it starts the thread, perhaps this very
        # thread, interrupted by a callback of the garbage collector.
        if not self._start_lock.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        except RuntimeError:
            # The interpreter is going down and refuses threads; `stop` will report what is left.
            self._thread = None
        finally:
            self._start_lock.release()

    def _run(self) -> None:
        wait_s: float | None = None
        while True:
            wait_s = self._turn(wait_s)
            if self._stop.met.is_set() and wait_s is None:
                return

    def _turn(self, wait_s: float | None) -> float | None:
        """Wait for something to do, do it, and return for how long to wait the next time."""
        items, requests = self._collect(wait_s)
        if self._woken is not None:
            with guarded(f"wake {self._name}"):
                self._woken()
        self._begin_slice()
        self.asked = bool(requests) or self._stopped
        wanted_s: float | None = _AFTER_FAULT_S
        try:
            wanted_s = self._step(items)
        except BaseException as error:
            # Whatever users' code throws at us, SystemExit included: this thread is the only one we have.
            note_fault(f"run {self._name}", error)
        for request in requests:
            request.met.set()
        return wanted_s

    def _collect(self, wait_s: float | None) -> tuple[list[Any], list[_Request]]:
        items: list[Any] = []
        requests: list[_Request] = []
        # In this order: whoever puts something for later sees that we rest, or we see what was put.
        self._rests = wait_s is None
        try:
            entry = self._inbox.get(timeout=0 if self._later else wait_s)
            while True:
                if isinstance(entry, _Request):
                    requests.append(entry)
                elif entry is not _WAKE:
                    items.append(entry)
                entry = self._inbox.get_nowait()
        except Empty:
            pass
        self._rests = False
        while self._later:
            items.append(self._later.popleft())
        return items, requests


_next_turn_ns = 0


def _wait_for_turn() -> int:
    """Sleep until the slice and the nap of whoever came last are over; return when our slice ends (ns).

    No lock: should two workers ever start at once, they share one slice, and nobody waits for nobody.
    """
    global _next_turn_ns
    now = monotonic_ns()
    while now < _next_turn_ns:
        sleep((_next_turn_ns - now) / NS_PER_S)
        now = monotonic_ns()
    _next_turn_ns = now + SLICE_NS + NAP_NS
    return now + SLICE_NS


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


def _forget_the_parent() -> None:
    for worker in list(_workers):
        worker._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)


def remaining_s(deadline_ns: int) -> float:
    """Return the seconds left until `deadline_ns` on the monotonic clock, never less than 0."""
    return max(0.0, (deadline_ns - monotonic_ns()) / NS_PER_S)


__all__ = ["NAP_NS", "SLICE_NS", "Worker", "remaining_s"]

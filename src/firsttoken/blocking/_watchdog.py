"""One thread that asks every watched event loop for a sign of life.

Floor 4. `add` is called on the loops' threads, everything else runs on the watchdog thread. While nothing
is watched it sleeps without a timeout.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_native_id
from typing import Any

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import note_fault
from firsttoken.blocking._evidence import Lateness, ThreadClocks, gc_pauses, thread_frames
from firsttoken.blocking._watch import Watch

LATE_NS = 20_000_000


class Watchdog:
    """The thread, and the watches it holds. Started by a watch, starts afresh after a fork."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin afresh, without the thread: in the child of a fork."""
        self._lock = Lock()
        self._inbox: SimpleQueue[Watch | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._stopped = False
        self._watches: tuple[Watch, ...] = ()
        self.wakeups = 0

    def add(self, watch: Watch) -> None:
        """Begin, or go on, to watch a loop; give its watch up if the watchdog was stopped.

        Raises:
            RuntimeError: if no thread can be started.
        """
        if self._stopped:
            watch.stop()
            return
        self._inbox.put(watch)
        gc_pauses.install()  # now: the thread may get to run only after the first collection
        if not self._runs:
            with self._lock:
                if not self._runs:
                    thread = Thread(target=self._run, name="firsttoken-watchdog", daemon=True)
                    thread.start()
                    self._thread = thread

    @property
    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def hurry(self, watch: Watch) -> None:
        """Let the next heartbeat of a watch be sent now: somebody waits for its answer."""
        watch.due_ns = min(watch.due_ns, monotonic_ns())  # not later: a late watchdog is evidence
        self._inbox.put(watch)

    def glance(self) -> None:
        """Look at the loops whose tick is late, from another thread of ours that got the interpreter.

        Code that held the interpreter lets go of it to whoever waits for it, and that is not always the
        watchdog; by the time it gets it, the loop may have gone on. Cost: 0.2 us while nothing is late.
        """
        now_ns = monotonic_ns()
        late = [watch for watch in self._watches if now_ns - watch.due_ns >= LATE_NS]
        if late:
            frames = thread_frames()
            for watch in late:
                watch.glance(frames)
            # Among them is this one, which would keep all of them, and so every program's variables.
            del frames

    def stop(self) -> None:
        """End the thread and wait for it briefly: at interpreter exit."""
        self._stopped = True
        thread = self._thread
        if thread is not None:
            self._inbox.put(None)
            thread.join(1.0)

    def _run(self) -> None:
        watches: list[Watch] = []
        try:
            self._watch_over(watches)
        finally:
            gc_pauses.remove()
            self._watches = ()
            _drop(watches, *watches)

    def _watch_over(self, watches: list[Watch]) -> None:
        lateness, clocks = Lateness(get_native_id()), ThreadClocks()
        while True:
            due_ns = min((watch.due_ns for watch in watches), default=None)
            try:
                watch = self._inbox.get(timeout=_timeout_s(due_ns, monotonic_ns()))
                if watch is None:
                    return
                watch.parked = False
                if watch not in watches:
                    watches.append(watch)
                gc_pauses.install()
            except Empty:
                pass
            self.wakeups += 1
            if not _goes_on(self._tick, watches, lateness, clocks):
                _drop(watches, *watches)
            self._watches = tuple(watches)
            if not watches and self._inbox.empty():
                gc_pauses.remove()

    def _tick(self, watches: list[Watch], lateness: Lateness, clocks: ThreadClocks) -> None:
        now_ns = monotonic_ns()
        due = [watch for watch in watches if watch.due_ns <= now_ns]
        late_ns = max((now_ns - watch.due_ns for watch in due), default=0)
        frames = thread_frames()
        holder = clocks.busiest(frames, late_ns) if late_ns >= LATE_NS else None
        # Before the ticks: they give up the interpreter; the wait to get it back belongs to the next wake.
        clocks.expect(frames)
        blind = [
            watch
            for watch in due
            if not _goes_on(watch.look, frames, clocks.spent_ns(watch.thread_id), holder)
        ]
        # A frame kept is a program's variables kept.
        del frames
        suspended = late_ns >= LATE_NS and lateness.suspended(late_ns)
        lateness.expect(monotonic_ns())
        for watch in due:
            if watch in blind or not _goes_on(watch.tick, monotonic_ns(), suspended):
                _drop(watches, watch)


def _goes_on(step: Callable[..., bool | None], *arguments: Any) -> bool:
    """Take a step; return False if it says so, and if it fails: what does is given up."""
    try:
        return step(*arguments) is not False
    except Exception as error:
        note_fault("watch an event loop", error)
        return False


def _drop(watches: list[Watch], *dropped: Watch) -> None:
    for watch in dropped:
        watches.remove(watch)
        if not watch.parked:
            watch.stop()
            watch.close()


def _timeout_s(due_ns: int | None, now_ns: int) -> float | None:
    return None if due_ns is None else max(0.0, (due_ns - now_ns) / NS_PER_S)


watchdog = Watchdog()


def _after_fork_in_child() -> None:
    gc_pauses.remove()
    watchdog.reset()


atexit.register(watchdog.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

"""The heartbeat of one event loop, and the block it tells of when it stops.

Floor 4. `Watch.tick` and `Watch.look` run on the watchdog thread, the heartbeat's answer on the loop's
thread, `Watch.leave` anywhere.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from threading import RLock, get_ident, get_native_id
from types import FrameType

from firsttoken._clock import monotonic_ns
from firsttoken.blocking._culprit import LoopBlock, Samples, Stack, estimate_start, judge_kind
from firsttoken.blocking._evidence import (
    base_of_callback,
    base_of_task,
    capture,
    gc_pauses,
    run_delay_ns,
    thread_name,
)
from firsttoken.blocking._loops import NO_LOOP, Loop

_OVER = -1


class Watch:
    """The heartbeat of one loop: a state machine that the watchdog ticks.

    A heartbeat is outstanding from `_send` until the loop calls `_answer`. `_silent_ns` is since when the
    silence counts: when the heartbeat was sent, or when it was due if the watchdog could not run.
    """

    def __init__(
        self,
        loop: Loop,
        threshold_ns: int,
        publish: Callable[[LoopBlock], None],
        resume: Callable[[Watch], None],
        user_paths: tuple[str, ...] = (),
    ) -> None:
        now_ns = monotonic_ns()
        self._loop = loop
        self.thread_id = get_ident()
        self._settled_ns = now_ns
        self.due_ns = now_ns
        self.parked = False
        self._native_id = get_native_id()
        self._resume = resume
        self._threshold_ns = threshold_ns
        self._publish = publish
        self._user_paths = user_paths
        self._live = 0
        self._closing = False
        self._base = base_of_task(sys._getframe(1))
        self._alive_ns = self._answered_ns = self._sent_ns = self._silent_ns = self._ticked_ns = now_ns
        self._alive_cpu_ns = self._answered_cpu_ns = time.thread_time_ns()
        self._samples = Samples()
        self._sampled_ns = 0
        self._waited_ns = 0
        self._delay_ns: int | None = None
        self._void = False
        self._seen: tuple[Stack, int] | None = None
        self._threads: dict[Stack, str] = {}

    def enter(self, handle: object) -> bool:
        """Count one more live stream; False if this watch is over, or of another loop than `handle`."""
        with _counts:
            if self._live == _OVER or self._loop.handle is not handle:
                return False
            self._live += 1
            return True

    def leave(self) -> None:
        """Count one live stream less, from any thread. Cost: tests/bench/bench_blocking.py."""
        with _counts:
            if self._live > 0:
                self._live -= 1
                if self._live == 0 and self.parked:
                    self.stop()  # nobody runs this loop, so the watchdog will not come by

    def stop(self) -> None:
        """Give the watch up for good, whatever is live; the watchdog drops it at its next tick."""
        with _counts:
            self._live = _OVER
            self._loop = NO_LOOP

    def _end(self) -> bool:
        """Give the watch up for good unless a stream is live."""
        with _counts:
            if self._live > 0:
                return False
            self.stop()
            return True

    @property
    def over(self) -> bool:
        """Whether nothing will ever be published from here again."""
        return self._live == _OVER

    def settled(self, until_ns: int) -> bool:
        """Tell whether every block that began before `until_ns` (monotonic) is published."""
        return self.over or self.parked or self._settled_ns >= until_ns

    async def sleep(self, delay_s: float) -> None:
        """Let the watched loop go on for a while: from inside it."""
        await self._loop.sleep(delay_s)

    def _answer(self) -> None:
        self._answered_cpu_ns = time.thread_time_ns()
        self._base = base_of_callback(sys._getframe(1))
        self._answered_ns = monotonic_ns()  # last: it publishes the two above
        if self.parked:
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                self._resume(self)  # somebody runs this loop again

    @property
    def silent(self) -> bool:
        """Whether a heartbeat is waiting for its answer."""
        return self._answered_ns < self._sent_ns

    def look(self, frames: Mapping[int, FrameType], holder: int | None = None) -> None:
        """Take the stack for the tick that follows, before anything gives up the interpreter.

        Code that held the interpreter lets go of it at the line that held it, and goes on when we do.

        frames: the innermost frame of every thread.
        holder: the other thread that seems to have held the interpreter, None if none did.
        """
        if holder is None or holder == self.thread_id:
            self._seen = self._base.cut(capture(frames.get(self.thread_id))), self.thread_id
        else:
            self._seen = capture(frames.get(holder)), holder

    def tick(self, now_ns: int, suspended: bool) -> bool:
        """Advance; return False when this loop needs no more heartbeats for now.

        now_ns: the time (monotonic ns).
        suspended: whether the process was stopped since the last tick, so that lateness means nothing.
        """
        seen, self._seen = self._seen, None
        if self.over:
            return False
        if not self.silent:
            return self._answered(now_ns, suspended, seen)
        life = self._loop.life(self._answer)
        if life != "running":
            return life == "stopped" and self._park()
        if suspended:
            self._silent_ns += now_ns - max(self._ticked_ns, self._silent_ns)
        else:
            self._sample(now_ns, max(0, now_ns - self.due_ns), seen)
        self._ticked_ns = now_ns
        rarer_ns = min((now_ns - self._silent_ns) // 16, 2 * self._threshold_ns)
        self.due_ns = now_ns + max(self._threshold_ns // 5, rarer_ns)
        return True

    def _answered(self, now_ns: int, suspended: bool, seen: tuple[Stack, int] | None) -> bool:
        if suspended:
            self._silent_ns += max(0, self._answered_ns - max(self._ticked_ns, self._silent_ns))
        elif self._answered_ns > self.due_ns:
            self._missed(self._answered_ns - self.due_ns, seen)
        self._conclude()
        idle_since_ns = max(self.due_ns, self._answered_ns)
        late_ns = now_ns - idle_since_ns
        if self._closing and self._end():
            return False
        self._closing = self._live == 0  # one more heartbeat, so that the last block is published
        self._silent_ns = now_ns
        if late_ns >= self._threshold_ns and not suspended:
            # Nothing in this process got the interpreter since then, this thread included: the heartbeat
            # that was due would have gone unanswered, and whoever just let go still stands at the line.
            self._silent_ns = idle_since_ns
            self._sample(now_ns, late_ns, seen)
        self._ticked_ns = now_ns
        self.due_ns = now_ns + self._threshold_ns // 2
        return self._send(now_ns)

    def _send(self, now_ns: int) -> bool:
        self._sent_ns = now_ns
        try:
            self._loop.send(self._answer)
        except RuntimeError:
            return False
        return True

    def _park(self) -> bool:
        """Leave a loop alone that nobody runs. The heartbeat stays queued in it and calls us back."""
        self._void = True
        self.parked = True
        if self.silent:
            self._end()
            return False
        self.parked = False  # it was answered in between
        return True

    def _missed(self, late_ns: int, seen: tuple[Stack, int] | None) -> None:
        """Account for a wait that ended before we could look at it: the loop got the interpreter first.

        Where the loop's own thread stands by now tells nothing any more; the thread that held it up may.
        """
        self._waited_ns += late_ns
        if seen is not None and seen[1] != self.thread_id:
            self._threads[seen[0]] = thread_name(seen[1])
            self._samples.add(seen[0], late_ns)

    def _sample(self, now_ns: int, late_ns: int, seen: tuple[Stack, int] | None) -> None:
        self._waited_ns += late_ns
        if seen is None or (not self.silent and late_ns < self._threshold_ns):
            return
        stack, thread_id = seen
        if thread_id != self.thread_id:
            self._threads[stack] = thread_name(thread_id)
        self._samples.add(stack, max(1, now_ns - max(self._silent_ns, self._sampled_ns)))
        self._sampled_ns = now_ns
        if self._delay_ns is None:
            self._delay_ns = run_delay_ns(self._native_id)

    def _conclude(self) -> None:
        """Publish the block that the last answer ended, if it was one, and start over from that answer."""
        ended_ns = self._answered_ns
        debugged = self._samples.debugged
        if ended_ns - self._silent_ns >= self._threshold_ns and not self._void and not debugged:
            self._publish(self._describe(ended_ns))
        self._alive_ns, self._alive_cpu_ns = ended_ns, self._answered_cpu_ns
        self._samples.clear()
        self._threads.clear()
        self._waited_ns = 0
        self._delay_ns = None
        self._void = False
        self._settled_ns = self._sent_ns

    def _describe(self, ended_ns: int) -> LoopBlock:
        silent_ns, cpu_ns = self._silent_ns, self._answered_cpu_ns - self._alive_cpu_ns
        pauses = gc_pauses.within(silent_ns, ended_ns)
        kind = judge_kind(
            ended_ns - silent_ns,
            cpu_ns=cpu_ns,
            gc_ns=sum(min(p.ended_ns, ended_ns) - max(p.started_ns, silent_ns) for p in pauses),
            waited_ns=self._waited(),
        )
        started_ns = estimate_start(
            ended_ns,
            alive_ns=self._alive_ns,
            silent_ns=silent_ns,
            cpu_ns=cpu_ns if kind == "cpu" else None,
        )
        samples, threads = self._samples, self._threads
        if kind == "gc":
            started_ns = max(self._alive_ns, min(silent_ns, pauses[0].started_ns))
            samples, threads = Samples(), {}
            for pause in pauses:
                here = pause.thread_id == self.thread_id
                stack = self._base.cut(pause.stack) if here else pause.stack
                samples.add(stack, pause.ended_ns - pause.started_ns)
                if not here:
                    threads[stack] = thread_name(pause.thread_id)
        culprit = samples.culprit(self._user_paths)
        stack = culprit.stack if culprit else samples.heaviest()
        return LoopBlock.of(culprit, stack, self.thread_id, started_ns, ended_ns, kind, threads.get(stack))

    def _waited(self) -> int:
        """Return how long the loop's thread was ready but could not run (ns), as far as one can tell."""
        if self._delay_ns is None:
            return self._waited_ns
        return max(self._waited_ns, (run_delay_ns(self._native_id) or 0) - self._delay_ns)


_counts = RLock()  # reentrant: a finalizer may leave inside another leave


def _after_fork_in_child() -> None:
    global _counts
    _counts = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

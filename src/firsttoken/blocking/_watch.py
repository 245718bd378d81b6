"""One event loop, watched from outside: is it alive, and if not, since when and at which line.

Floor 4. `Watch.tick` and `Watch.look` run on the watchdog thread, the heartbeat's answer on the loop's
thread, `Watch.leave` anywhere.

A loop that is seen waiting for something to do is alive, and is not woken for that; nor is one that is
seen in a turn that began just now. Any other is asked: a heartbeat is put in line behind what it does, and
the time until it is answered is the time that everybody else in that line waits. (A loop at work for which
nobody has to wait is alive, too.)
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from threading import RLock, get_ident
from types import FrameType
from typing import Final

from firsttoken._clock import monotonic_ns
from firsttoken.blocking._culprit import LoopBlock
from firsttoken.blocking._evidence import base_of_callback, base_of_task
from firsttoken.blocking._lookout import Lookout, Sight
from firsttoken.blocking._loops import NO_LOOP, Loop
from firsttoken.blocking._silence import Seen, Silence

#: A loop that is always seen alive is asked all the same this often: it may wait for a processor.
ASKED_ANYWAY_NS: Final = 250_000_000
_OVER: Final = -1


class Watch:
    """What is known of one loop: a state machine that the watchdog ticks.

    `_alive_ns` is the last proof of life. A heartbeat is outstanding from `_send` until the loop calls
    `_answer`. `_silent_ns` is since when that silence counts: when the heartbeat was sent, or when it was
    due if the watchdog could not run. A block began between the two.
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
        self._settled_ns = self._told_ns = self.due_ns = now_ns
        self.parked = False
        self._resume = resume
        self._threshold_ns = threshold_ns
        self._period_ns = threshold_ns // 4
        self._publish = publish
        self._live = 0
        self._closing = self._asked = False
        self._base = base_of_task(sys._getframe(1))
        self._alive_ns = self._answered_ns = self._sent_ns = self._silent_ns = self._ticked_ns = now_ns
        self._alive_cpu_ns = self._answered_cpu_ns = time.thread_time_ns()
        self._silence = Silence(self.thread_id, user_paths)
        self._void = False
        self._lookout = Lookout(self.thread_id, self._period_ns)
        self._sight = Sight()

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

    def close(self) -> None:
        """Let go of what the system gave, once the watch was dropped; on the watchdog thread."""
        self._silence.close()

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

    @property
    def is_live(self) -> bool:
        """Whether a stream is live on this loop."""
        return self._live > 0

    def settled(self, until_ns: int) -> bool:
        """Tell whether every block that began before `until_ns` (monotonic) is published."""
        return self.over or self.parked or self._settled_ns >= until_ns

    async def sleep(self, delay_s: float) -> None:
        """Let the watched loop go on for a while: from inside it."""
        await self._loop.sleep(delay_s)

    def _answer(self) -> None:
        if get_ident() != self.thread_id:
            self.stop()  # whoever runs the loop by now, the thread that we look at is another
            return
        self._answered_cpu_ns = time.thread_time_ns()
        caller = sys._getframe(1)
        self._base = base_of_callback(caller)
        self._loop.learn(caller)
        self._answered_ns = monotonic_ns()  # last: it publishes the others
        if self.parked:
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                self._resume(self)  # somebody runs this loop again

    @property
    def silent(self) -> bool:
        """Whether a heartbeat is waiting for its answer."""
        return self._answered_ns < self._sent_ns

    def glance(self, frames: Mapping[int, FrameType]) -> None:
        """Take a look between two, on another thread of ours, in case the loop goes on before the next."""
        self._lookout.glance(self._loop, self._base, frames)

    def look(self, frames: Mapping[int, FrameType], cpu_ns: int | None, holder: int | None = None) -> None:
        """Take a look for the tick that follows, before anything gives up the interpreter.

        Code that held the interpreter lets go of it at the line that held it, and goes on when we do.

        frames: the innermost frame of every thread.
        cpu_ns, holder: as of `Sight`.
        """
        self._sight = self._lookout.look(
            self._loop, self._base, frames, cpu_ns, holder, was_asked=self.silent
        )

    def tick(self, now_ns: int, suspended: bool) -> bool:
        """Advance; return False when this loop needs no more ticks for now.

        now_ns: the time (monotonic ns).
        suspended: whether the process was stopped since the last tick, so that lateness means nothing.
        """
        sight = self._sight
        self._sight = sight._replace(seen=None)  # evidence for one tick only
        if self.over:
            return False
        if self.silent:
            return self._still_silent(now_ns, suspended, sight.seen)
        if self._asked:
            self._take_answer(suspended, sight)
            if self._closing and self._end():
                return False
        late_ns = now_ns - max(self.due_ns, self._alive_ns)
        if suspended:
            self._alive_ns += max(0, late_ns)
        missed = now_ns - self._alive_ns - self._period_ns // 2 >= self._threshold_ns
        if sight.is_fine and not missed:
            self._prove_by_sight(sight, now_ns, suspended)
            if self._live == 0 and sight.waits and self._end():
                return False
            # One that computes may be about to block when its last stream has left: ask it.
            if now_ns - self._answered_ns < ASKED_ANYWAY_NS and (sight.waits or self._live > 0):
                self._ticked_ns = now_ns
                self.due_ns = now_ns + self._period_ns
                return True
        self._silent_ns = now_ns
        if missed or (sight.holder is not None and not suspended):
            # Nothing in this process got the interpreter since then, this thread included: the heartbeat
            # that was due would have gone unanswered, and whoever just let go still stands at the line.
            self._silent_ns = now_ns - max(0, late_ns)
        elif sight.turned_ns == self._alive_ns:
            self._silent_ns = self._alive_ns  # it is still in the turn in which it was last seen alive
        if not suspended:
            self._silence.wait(late_ns)
        if sight.seen is not None and (sight.seen[0] or not sight.is_fine):
            self._silence.add(now_ns, self._alive_ns, sight.seen, outstanding=False)
        return self._send(now_ns)

    def _prove_by_sight(self, sight: Sight, now_ns: int, suspended: bool) -> None:
        if sight.waits:
            self._rest(now_ns, sight.cpu_ns, suspended)
        elif sight.turned_ns is not None:
            turned_ns, cpu_ns = sight.turned_ns, sight.cpu_ns or 0
            if turned_ns > self._alive_ns:  # it may have answered since, in this very turn
                self._prove(turned_ns, max(cpu_ns - (now_ns - turned_ns), self._alive_cpu_ns))
            self._silence.clear()
            self._settled_ns = max(self._settled_ns, turned_ns)

    def _rest(self, now_ns: int, cpu_ns: int | None, suspended: bool) -> None:
        """Take a loop that waits to be alive; but it may have been kept from its processor before."""
        starved_ns = 0 if suspended else self._silence.starved_ns()
        if starved_ns >= self._threshold_ns:
            self._tell(self._silence.starvation(max(self._told_ns, now_ns - starved_ns), now_ns))
        self._prove(now_ns, self._alive_cpu_ns if cpu_ns is None else cpu_ns)
        self._settled_ns = now_ns

    def _still_silent(self, now_ns: int, suspended: bool, seen: Seen | None) -> bool:
        life = self._loop.life(self._answer)
        if life != "running":
            return life == "stopped" and self._park()
        if suspended:
            self._discount(now_ns - max(self._ticked_ns, self._silent_ns))
        else:
            self._silence.wait(now_ns - self.due_ns)
            self._silence.add(now_ns, self._alive_ns, seen, outstanding=True)
        self._ticked_ns = now_ns
        rarer_ns = min((now_ns - self._silent_ns) // 16, 2 * self._threshold_ns)
        self.due_ns = now_ns + max(self._threshold_ns // 5, rarer_ns)
        return True

    def _take_answer(self, suspended: bool, sight: Sight) -> None:
        if suspended:
            self._discount(max(0, self._answered_ns - max(self._ticked_ns, self._silent_ns)))
        elif self._answered_ns > self.due_ns:
            # Where the loop stands by now tells nothing any more; who held it up before, does.
            seen = sight.seen
            other = seen is not None and seen[1] != self.thread_id
            self._silence.miss(self._answered_ns - self.due_ns, seen if other or sight.glimpsed else None)
        self._conclude()

    def _discount(self, suspended_ns: int) -> None:
        """Let the time that the process was stopped not count."""
        self._silent_ns += suspended_ns
        self._alive_ns += suspended_ns

    def _tell(self, block: LoopBlock) -> None:
        self._told_ns = block.ended_ns
        self._publish(block)

    def _prove(self, alive_ns: int, cpu_ns: int) -> None:
        self._alive_ns, self._alive_cpu_ns = alive_ns, cpu_ns

    def _send(self, now_ns: int) -> bool:
        self._closing = self._live == 0  # one more heartbeat, so that the last block is published
        self._asked = True
        self._ticked_ns = self._sent_ns = now_ns
        self.due_ns = now_ns + self._period_ns
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

    def _conclude(self) -> None:
        """Publish the block that the last answer ended, if it was one, and start over from that answer."""
        ended_ns = self._answered_ns
        silence = self._silence
        if ended_ns - self._alive_ns >= self._threshold_ns and not (self._void or silence.is_debugged):
            spent_ns = self._answered_cpu_ns - self._alive_cpu_ns
            block = silence.describe(self._base, self._alive_ns, self._silent_ns, ended_ns, spent_ns)
            # When it began is known within these bounds: better tell a shorter one than miss one.
            unsure_ns = min(self._silent_ns - self._alive_ns, 2 * self._period_ns)
            if block.duration_ns >= self._threshold_ns - max(0, unsure_ns) // 2:
                self._tell(block)
        silence.clear()
        self._prove(ended_ns, self._answered_cpu_ns)
        self._void = self._asked = False
        self._settled_ns = self._sent_ns


_counts = RLock()  # reentrant: a finalizer may leave inside another leave


def _after_fork_in_child() -> None:
    global _counts
    _counts = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

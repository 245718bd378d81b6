"""What was seen while one event loop was silent, and the block that it makes.

Floor 4. Used on the watchdog thread alone.
"""

from __future__ import annotations

from threading import get_native_id

from firsttoken.blocking._culprit import LoopBlock, Samples, Stack, estimate_start, judge_kind
from firsttoken.blocking._evidence import Base, gc_pauses, thread_name
from firsttoken.blocking._run_delay import RunDelay

Seen = tuple[Stack, int]
"""A stack, and the thread it was seen in."""


class Silence:
    """Gathers evidence until the loop speaks again. Made on the loop's thread.

    thread_id: the loop's thread.
    user_paths: installed code that is the user's.
    """

    __slots__ = (
        "_counter",
        "_delay_ns",
        "_sampled_ns",
        "_samples",
        "_starved_ns",
        "_thread_id",
        "_threads",
        "_user_paths",
        "_waited_ns",
    )

    def __init__(self, thread_id: int, user_paths: tuple[str, ...]) -> None:
        self._thread_id = thread_id
        self._counter = RunDelay(get_native_id())
        self._starved_ns: int | None = None
        self._user_paths = user_paths
        self._samples = Samples()
        self._threads: dict[Stack, str] = {}
        self._sampled_ns = 0
        self._waited_ns = 0
        self._delay_ns: int | None = None

    @property
    def is_debugged(self) -> bool:
        """Whether somebody stepped through the code meanwhile."""
        return self._samples.debugged

    def clear(self) -> None:
        """Forget everything: the loop is alive."""
        self._samples.clear()
        self._threads.clear()
        self._waited_ns = 0
        self._delay_ns = None
        self._starved_ns = None

    def close(self) -> None:
        """Let go of the file that is kept open; what it told is unknown from now on."""
        self._counter.close()

    def starved_ns(self) -> int:
        """Return how long the loop's thread was ready without a processor since this was asked before (ns).

        0 if it was not asked since the last `clear`, or if the system does not say.
        """
        before_ns, self._starved_ns = self._starved_ns, self._counter.read_ns()
        return 0 if before_ns is None or self._starved_ns is None else self._starved_ns - before_ns

    def starvation(self, started_ns: int, ended_ns: int) -> LoopBlock:
        """Return the block that was nobody's line: another process had the processor."""
        return LoopBlock.of(None, (), self._thread_id, started_ns, ended_ns, "gil_or_cpu_wait", None)

    def wait(self, late_ns: int) -> None:
        """Note a time in which the watchdog thread itself was ready and could not run."""
        self._waited_ns += max(0, late_ns)

    def add(self, now_ns: int, since_ns: int, seen: Seen | None, *, outstanding: bool) -> None:
        """Note where a thread stands; it stands for the time since the last such note, or `since_ns`.

        outstanding: whether the loop was asked already: from then on its waits for a processor count.
        """
        if seen is None:
            return
        stack, thread_id = seen
        self._note_thread(stack, thread_id)
        self._samples.add(stack, max(1, now_ns - max(since_ns, self._sampled_ns)))
        self._sampled_ns = now_ns
        if outstanding and self._delay_ns is None:
            self._delay_ns = self._counter.read_ns()

    def miss(self, late_ns: int, seen: Seen | None) -> None:
        """Note a wait that ended before we could look at it: the loop got the interpreter first.

        seen: what held it up, None if nobody knows.
        """
        self.wait(late_ns)
        if seen is not None:
            self._note_thread(*seen)
            self._samples.add(seen[0], late_ns)

    def _note_thread(self, stack: Stack, thread_id: int) -> None:
        if thread_id != self._thread_id:
            self._threads[stack] = thread_name(thread_id)

    def describe(self, base: Base, alive_ns: int, silent_ns: int, ended_ns: int, cpu_ns: int) -> LoopBlock:
        """Return the block.

        base: the frames that run the loop.
        alive_ns, silent_ns: the last proof of life, and since when the loop was known to be silent.
        cpu_ns: processor time of the loop's thread between the last proof of life and the end.
        """
        pauses, waited_ns = gc_pauses.within(alive_ns, ended_ns), self._waited()
        kind = judge_kind(
            ended_ns - silent_ns,
            cpu_ns=cpu_ns,
            gc_ns=sum(max(0, min(p.ended_ns, ended_ns) - max(p.started_ns, silent_ns)) for p in pauses),
            waited_ns=waited_ns,
        )
        busy_ns = {"cpu": cpu_ns, "gil_or_cpu_wait": cpu_ns + waited_ns}.get(kind)
        started_ns = estimate_start(ended_ns, alive_ns=alive_ns, silent_ns=silent_ns, busy_ns=busy_ns)
        samples, threads = self._samples, self._threads
        if kind == "gc":
            started_ns = max(alive_ns, min(silent_ns, pauses[0].started_ns))
            samples, threads = Samples(), {}
            for pause in pauses:
                here = pause.thread_id == self._thread_id
                stack = base.cut(pause.stack) if here else pause.stack
                samples.add(stack, pause.ended_ns - pause.started_ns)
                if not here:
                    threads[stack] = thread_name(pause.thread_id)
        culprit = samples.culprit(self._user_paths)
        stack = culprit.stack if culprit else samples.heaviest()
        return LoopBlock.of(culprit, stack, self._thread_id, started_ns, ended_ns, kind, threads.get(stack))

    def _waited(self) -> int:
        """Return how long the loop's thread was ready but could not run (ns), as far as one can tell."""
        before_ns = self._delay_ns if self._starved_ns is None else self._starved_ns
        if before_ns is None:
            return self._waited_ns
        return max(self._waited_ns, (self._counter.read_ns() or 0) - before_ns)

"""The thread that exports: takes ended spans in, has them delivered, answers who waits. Floor 3 (tell).

Applications append to `intake` and go on; everything else happens on one background thread that runs
an event loop of its own: a request in flight then delays neither the queue, nor a flush, nor a deadline.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded, note_fault
from firsttoken._record.worker import Worker
from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export._aside import ExportLoop, untraced
from firsttoken.export._dispatch import Dispatch
from firsttoken.export._pace import Pace
from firsttoken.export._queue import Entry
from firsttoken.export._statistics import SHUTDOWN, UNENCODABLE, Counts
from firsttoken.export._waiters import Waiter

#: Spans that may wait to be looked at; one more is refused.
INTAKE_MAX: Final = 65_536
# So many in the intake wake the thread early.
_WAKE_AT: Final = 512
_NEVER: Final = INTAKE_MAX + 1
# So many spans are encoded between two looks at everything else.
_TAKE_AT_ONCE: Final = 128
_CANCEL_WAIT_S: Final = 0.1
# The C library keeps blocks up to the largest it ever saw freed, in place of giving each back to the
# system and faulting it in again: a fifth of what a request costs.
_LARGEST_BLOCK_BYTES: Final = 4 << 20
_RING: Final = object()

_left_to_the_parent: list[object] = []

Handed = tuple[ReadableSpan, "ChunkEvents | None"]
Prepare = Callable[[int, ReadableSpan, "ChunkEvents | None"], Entry]


class Courier:
    """One intake, one thread, one way out.

    connect: makes the way out, anew in a forked child; given what to call between pieces of work.
    prepare: makes a queue entry of (number, span, chunk events).
    on_start: called when the first span of a process came in, on the thread that ended it.

    intake: (span, its packed chunk events) in the order of ending; `wake_at`: the length at which
    whoever appends calls `ring`.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[], None]], Dispatch],
        prepare: Prepare,
        on_start: Callable[[], None],
        counts: Counts,
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self._on_start = on_start
        self._counts = counts
        self._dispatch: Dispatch
        self.intake: deque[Handed] = deque()
        self._worker = Worker("firsttoken-export", self._step)
        self._breathe = Pace(self._worker.breathe).breathe
        self._loop: ExportLoop | None = None
        self.begin()

    def begin(self) -> None:
        """Start from nothing, as a forked child does."""
        if self._loop is not None:
            # Closing them here would speak to the parent's selector and sockets.
            _left_to_the_parent.append((self._loop, self._task, self._dispatch))
            self._dispatch.forget()
        self.intake.clear()
        self.wake_at = 1
        self._dispatch = self._connect(self._breathe)
        self._waiters: deque[Waiter] = deque()
        self._loop = None
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._next_number = 0
        self._reported_losses = 0
        self._started = False
        self._serving = False
        self._over = False

    # --- any thread -----------------------------------------------------------------------------------

    def ring(self) -> None:
        """Wake the thread: something waits in the intake, or somebody for an answer."""
        self.wake_at = _NEVER
        if not self._started:
            self._started = True
            self._on_start()
        loop = self._loop
        if self._serving and loop is not None:
            loop.call_soon_threadsafe(self._bell.set)
        else:
            self._worker.put(_RING)

    def flush(self, timeout_s: float) -> bool:
        """Deliver what has ended; return False if time ran out, or some was lost since last time."""
        if self._worker.is_current:
            # The thread that would have to deliver cannot wait for itself.
            return False
        waiter = Waiter(timeout_s, self._reported_losses)
        self._waiters.append(waiter)
        self.ring()
        return waiter.wait(timeout_s)

    def shutdown(self, timeout_s: float) -> bool:
        """Deliver what has ended and end the thread; what could not be in time is dropped and counted."""
        if self._loop is None and not self.intake:
            # Nothing ever ended; no thread to wake.
            self._over = True
            return self._worker.stop(timeout_s)
        waiter = Waiter(timeout_s, self._reported_losses, closing=True)
        self._waiters.append(waiter)
        loop = self._loop
        if self._serving and loop is not None:
            loop.call_soon_threadsafe(self._bell.set)
        return self._worker.stop(timeout_s) and waiter.result

    def waiting(self) -> tuple[int, int, int]:
        """Return spans in the intake, spans behind it, and the memory these keep."""
        return len(self.intake), *self._dispatch.waiting

    # --- the export thread ----------------------------------------------------------------------------

    def _step(self, _: list[Any]) -> None:
        if self._over:
            return
        if self._loop is None:
            self._loop = ExportLoop(self._breathe)
            self._loop.set_debug(False)
            bytearray(_LARGEST_BLOCK_BYTES)
        token = attach(untraced())
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._serving = False
            self.wake_at = 1
            detach(token)
            if self._over:
                self._loop.close()

    async def _serve(self) -> None:
        """Work until there is nothing left to do, or for good when somebody asked to close."""
        self._serving = True
        while True:
            self._bell.clear()
            self.wake_at = _WAKE_AT
            self._take_in()
            now = monotonic_ns()
            await self._answer(now)
            if self._over:
                return
            self._start_job(now)
            if self.intake:
                # Let the request in flight have its turn as well.
                await asyncio.sleep(0)
                continue
            due_ns = self._dispatch.next_job_ns(now)
            idle = self._task is None and due_ns is None and not self._waiters
            if idle:
                self._serving = False
            if idle or due_ns is None:
                self.wake_at = 1
            if self.intake or self._waiters_are_new:
                self._serving = True
                continue
            if idle:
                return
            await self._rest(now, due_ns)

    def _take_in(self) -> None:
        """Move spans from the intake to the queue, encoding them."""
        for _ in range(min(len(self.intake), _TAKE_AT_ONCE)):
            span, chunks = self.intake.popleft()
            number = self._next_number
            self._next_number += 1
            self._counts.taken += 1
            try:
                entry = self._prepare(number, span, chunks)
            except Exception as error:
                note_fault("encode a span", error)
                self._counts.dropped[UNENCODABLE] += 1
                continue
            self._dispatch.append(entry)
            self._breathe()

    def _start_job(self, now: int) -> None:
        if self._task is not None and self._task.done():
            with guarded("send spans"):
                self._task.result()
            self._task = None
        if self._task is None:
            # Who waits is served best with all there is: first everything comes in.
            self._dispatch.awaited = bool(self._waiters) and not self.intake
            urgent = any(waiter.failures == self._dispatch.failures for waiter in list(self._waiters))
            job = self._dispatch.next_job(now, urgent=urgent)
            if job is not None:
                self._task = asyncio.ensure_future(job)
                self._task.add_done_callback(lambda _: self._bell.set())

    async def _rest(self, now: int, due_ns: int | None) -> None:
        """Wait for the bell, or until something is due."""
        # A copy: other threads append while we look.
        waiters = list(self._waiters)
        times = [time for waiter in waiters for time in waiter.times_ns if time > now]
        if due_ns is not None and self._task is None:
            times.append(due_ns)
        alarm = None
        if times:
            wait_s = max(0, min(times) - now) / NS_PER_S
            alarm = asyncio.get_running_loop().call_later(wait_s, self._bell.set)
        await self._bell.wait()
        if alarm is not None:
            alarm.cancel()

    # --- who waits ------------------------------------------------------------------------------------

    @property
    def _waiters_are_new(self) -> bool:
        return any(waiter.upto is None for waiter in list(self._waiters))

    async def _answer(self, now: int) -> None:
        """Let those go on whose spans are settled, or whose time is up."""
        waiters = list(self._waiters)
        for waiter in waiters:
            if waiter.upto is None:
                waiter.upto = self._next_number + len(self.intake)
                waiter.failures = self._dispatch.failures
            late = now >= waiter.give_up_ns
            if waiter.closing and (late or self._is_settled(waiter) or self._is_hopeless(waiter)):
                await self._close()
            elif late and self._dispatch.has_spool and not self._is_settled(waiter):
                await self._land()
                self._dispatch.settle()
        for waiter in waiters:
            settled = self._is_settled(waiter)
            if settled:
                self._reported_losses = self._counts.losses
                waiter.answer(self._reported_losses)
            if settled or now >= waiter.deadline_ns:
                self._waiters.remove(waiter)

    def _is_hopeless(self, waiter: Waiter) -> bool:
        # With a collector that is down, one try is all a shutdown is worth; with one that asked us to stay
        # away for longer than there is time, none.
        circuit = self._dispatch.circuit
        tried = waiter.failures != self._dispatch.failures
        return (circuit.is_open and tried) or (
            circuit.asked_to_wait and circuit.not_before_ns > waiter.deadline_ns
        )

    def _is_settled(self, waiter: Waiter) -> bool:
        oldest = self._dispatch.oldest_number
        # What is still in the intake will get a number below `upto`.
        oldest = self._next_number if oldest is None else oldest
        return waiter.upto is not None and oldest >= waiter.upto

    async def _close(self) -> None:
        """End the service: settle, spool, or drop and count whatever is left."""
        await self._land()
        while self.intake:
            if self._dispatch.has_spool:
                self._take_in()
            else:
                self.intake.popleft()
                self._counts.taken += 1
                self._counts.dropped[SHUTDOWN] += 1
        await self._dispatch.close()
        self._over = True

    async def _land(self) -> None:
        """Cancel what is in flight; its spans wait again."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_WAIT_S)

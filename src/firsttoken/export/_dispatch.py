"""Decides what becomes of each waiting span: sent, tried again, set aside on disk, or dropped and counted.

Floor 3 (tell); runs in the export thread's event loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded, note_fault
from firsttoken.export._alarm import Alarm
from firsttoken.export._answer import Answer
from firsttoken.export._batch import Batch, take_batch
from firsttoken.export._cap import RequestCap
from firsttoken.export._delivery import Delivery
from firsttoken.export._queue import Entry, SpanQueue
from firsttoken.export._retry import Circuit
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import QUEUE_FULL, REJECTED, SHUTDOWN, SPOOL_FAILED, TOO_LARGE, Counts

# After a failed write the disk gets a rest.
_SPOOL_REST_S: Final = 10.0
_CLOSE_WAIT_S: Final = 0.1
_FREED_AT_ONCE: Final = 64


class Dispatch:
    """The queue's way out.

    schedule_delay_s: how long a span waits for others.
    target_bytes: a request is full at this size.
    resends: whether spooled spans are sent when the collector is back.
    awaited: whether somebody waits for delivery now; set by the owner. What fails then goes to the
        spool at once, if there is one.
    circuit: how deliveries went lately.
    failures: attempts that failed and may be repeated.
    """

    def __init__(
        self,
        delivery: Delivery,
        queue: SpanQueue,
        counts: Counts,
        spool: Spool | None,
        breathe: Callable[[], None],
        *,
        schedule_delay_s: float,
        target_bytes: int,
        max_batch_spans: int | None,
        resends: bool,
    ) -> None:
        self._delivery = delivery
        self._queue = queue
        self._counts = counts
        self._spool = spool
        self._breathe = breathe
        self._delay_ns = int(schedule_delay_s * NS_PER_S)
        self._target = target_bytes
        self._max_batch_spans = max_batch_spans
        self._resends = resends
        self.circuit = Circuit()
        self._cap = RequestCap()
        self._flying: list[Entry] = []
        self._oldest_ns = 0
        self._spool_rests_until_ns = 0
        self._alarm = Alarm()
        self._refused = False
        self.awaited = False
        self.failures = 0

    def append(self, entry: Entry) -> None:
        """Add a span; what the bounds have no room for is dropped by value."""
        if not len(self._queue):
            self._oldest_ns = monotonic_ns()
        self._note_evicted(*self._queue.append(entry))

    @property
    def waiting(self) -> tuple[int, int]:
        """Spans in the queue or on their way, and the memory they keep."""
        flying = self._flying
        return len(self._queue) + len(flying), self._queue.bytes + sum(entry.size for entry in flying)

    @property
    def has_spool(self) -> bool:
        """Whether what cannot be delivered has a place to go."""
        return self._spool is not None

    @property
    def oldest_number(self) -> int | None:
        """Number of the oldest span that is neither delivered nor lost; None if there is none."""
        oldest = (self._queue.peek(), *self._flying[:1])
        return min((entry.number for entry in oldest if entry is not None), default=None)

    def next_job(self, now: int, *, urgent: bool) -> Coroutine[Any, Any, None] | None:
        """Return what to do now, if anything.

        urgent: make an attempt although the last one failed, unless the server asked for patience.
        """
        patient = now < self.circuit.not_before_ns and (not urgent or self.circuit.asked_to_wait)
        if len(self._queue) and (self.awaited or self._is_full or now >= self._oldest_ns + self._delay_ns):
            if self._spool_is_usable and self.circuit.is_open and (self.awaited or patient):
                return self._put_aside()
            return None if patient else self._send()
        return self._resend() if not patient and self._may_resend else None

    def next_job_ns(self, now: int) -> int | None:
        """Return the time (monotonic) at which to look again, for new spans as well; None if never."""
        patience_ns = max(self.circuit.not_before_ns, now)
        times = [patience_ns] if self._may_resend else []
        if len(self._queue):
            due_ns = self._oldest_ns + self._delay_ns
            # What goes to disk does not wait for the collector.
            goes_to_disk = self._spool_is_usable and self.circuit.is_open
            times.append(due_ns if goes_to_disk else max(due_ns, patience_ns))
        return min(*times, now + self._delay_ns) if times else None

    @property
    def _is_full(self) -> bool:
        return self._queue.request_bytes >= self._target

    async def _send(self) -> None:
        """Make one attempt with the oldest spans."""
        batch = self._take_batch()
        if not batch.entries:
            return
        self._flying = batch.entries
        answer = None
        try:
            answer = await self._delivery.send(batch.entries)
        except Exception as error:
            note_fault("send spans", error)
            answer = Answer("retry", "fault")
        finally:
            self._flying = []
            if answer is None:
                # Cancelled: whether the collector has them is unknown, so they still wait.
                self._restore(batch.entries)
        self._judge(batch, answer)

    def _take_batch(self) -> Batch:
        cap = self._cap.read()
        target = min(self._target, cap)
        batch = take_batch(self._queue, target, cap, self._max_batch_spans, self._breathe)
        self._oldest_ns = monotonic_ns()
        self._drop(batch.too_large, TOO_LARGE)
        if batch.lost_events:
            self._counts.events_dropped[TOO_LARGE] += batch.lost_events
        return batch

    def _judge(self, batch: Batch, answer: Answer) -> None:
        """Book what an answer means for the spans of its request."""
        counts, entries = self._counts, batch.entries
        counts.requests[answer.cause] += 1
        if answer.verdict != "accepted":
            self._alarm.warn(f"a request with {len(entries)} spans was not accepted ({answer.cause})")
        if answer.verdict == "accepted":
            self.circuit.succeeded()
            self._refused = False
            rejected = min(answer.rejected, len(entries))
            counts.accepted += len(entries) - rejected
            counts.unread_answers += answer.unread
            self._drop(entries[:rejected], REJECTED)
            self._let_go(entries)
        elif answer.verdict == "retry":
            self.failures += 1
            self.circuit.failed(monotonic_ns(), random.random(), answer.retry_after_s)
            if self._spool_is_usable and (self.awaited or self.circuit.is_open):
                self._write(entries)
            else:
                self._restore(entries)
        elif answer.verdict == "too_large" and self._cap.lower(batch.size):
            self._restore(entries)
        elif answer.is_about_us and self._spool_is_usable:
            # A wrong path or key is mended by people; the spans can wait for them.
            self._refused = True
            self._write(entries)
        else:
            self._drop(entries, TOO_LARGE if answer.verdict == "too_large" else REJECTED)

    # --- the spool ------------------------------------------------------------------------------------

    @property
    def _spool_is_usable(self) -> bool:
        return self._spool is not None and monotonic_ns() >= self._spool_rests_until_ns

    @property
    def _may_resend(self) -> bool:
        if not self._resends or self._refused or self.awaited or not self._spool_is_usable:
            return False
        return self._spool is not None and self._spool.has_files

    async def _put_aside(self) -> None:
        self._write(self._take_batch().entries)

    def _write(self, entries: list[Entry]) -> None:
        """Write entries to the spool; keep them waiting if the disk does not take them."""
        assert self._spool is not None
        written = 0
        try:
            for entry in entries:
                if self._spool.write(entry, self._breathe):
                    self._counts.spooled += 1
                else:
                    self._drop([entry], TOO_LARGE)
                written += 1
        except OSError as error:
            self._rest_the_spool("write the spool", error)
            self._restore(entries[written:])

    def _rest_the_spool(self, what: str, error: OSError) -> None:
        note_fault(what, error)
        self._spool_rests_until_ns = monotonic_ns() + int(_SPOOL_REST_S * NS_PER_S)

    async def _resend(self) -> None:
        """Send what the spool holds, one request's worth."""
        assert self._spool is not None
        try:
            piece = self._spool.next_piece(min(self._target, self._cap.read()))
        except OSError as error:
            self._rest_the_spool("read the spool", error)
            return
        if piece is None:
            return
        try:
            answer = await self._delivery.resend(piece.body)
        except Exception as error:
            note_fault("send spooled spans", error)
            answer = Answer("retry", "fault")
        self._counts.requests[answer.cause] += 1
        if answer.verdict == "accepted":
            self.circuit.succeeded()
            rejected = min(answer.rejected, piece.spans)
            self._counts.replayed += piece.spans - rejected
            if rejected:
                self._counts.spool_dropped[REJECTED] += rejected
            self._spool.done(piece)
        elif answer.verdict == "retry":
            self.circuit.failed(monotonic_ns(), random.random(), answer.retry_after_s)
        elif answer.verdict == "too_large" and piece.spans > 1 and self._cap.lower(len(piece.body)):
            pass  # Read again, from the same place, it will be less.
        elif answer.verdict == "unreadable" and self._spool.doubt(piece):
            pass  # Read again, from the same place, it will be without the lines at fault.
        elif answer.is_about_us:
            self._refused = True
        else:
            self._counts.spool_dropped[REJECTED] += piece.spans
            self._spool.done(piece)

    # --- the end --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Put everything that waits into the spool, if there is one and the disk takes it."""
        while len(self._queue) and self._spool_is_usable:
            self._write(self._take_batch().entries)

    def forget(self) -> None:
        """Let go of the spool's files without touching them: they are a parent process's."""
        if self._spool is not None:
            self._spool.forget()

    async def close(self) -> None:
        """Settle what waits, drop and count what cannot be, and let go of everything."""
        self._spool_rests_until_ns = 0
        self.settle()
        reason = SHUTDOWN if self._spool is None else SPOOL_FAILED
        self._drop([self._queue.take() for _ in range(len(self._queue))], reason)
        if self._spool is not None:
            with guarded("finish the spool"):
                self._spool.finish()
                self._spool.release()
        with guarded("close the connection"):
            await asyncio.wait_for(self._delivery.aclose(), _CLOSE_WAIT_S)

    def _restore(self, entries: list[Entry]) -> None:
        # They have waited long enough for others.
        self._oldest_ns = -self._delay_ns
        self._note_evicted(*self._queue.restore(entries))

    def _let_go(self, entries: list[Entry]) -> None:
        """Forget entries bit by bit: freeing thousands of objects takes longer than a slice."""
        while entries:
            del entries[-_FREED_AT_ONCE:]
            self._breathe()

    def _note_evicted(self, chunks: int, entries: list[Entry]) -> None:
        if chunks:
            self._counts.events_dropped[QUEUE_FULL] += chunks
        self._drop(entries, QUEUE_FULL)

    def _drop(self, entries: list[Entry], reason: str) -> None:
        if entries:
            self._counts.dropped[reason] += len(entries)
            self._alarm.warn(f"{len(entries)} spans dropped ({reason})")

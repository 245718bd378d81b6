"""What became of every span: the counts behind `statistics()`. Floor 3 (tell); any thread reads.

The one promise: ended = accepted + spooled + dropped + waiting, at every moment nothing moves.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final

#: The queue was over its bound and the span was worth least, or the hand-over was full.
QUEUE_FULL: Final = "queue_full"
#: The span ended after `shutdown`.
ALREADY_SHUTDOWN: Final = "already_shutdown"
#: `shutdown` reached its deadline before the collector took the span, and there was no spool.
SHUTDOWN: Final = "shutdown"
#: The collector refused the request for good, or turned the span down in a partial success.
REJECTED: Final = "rejected"
#: The span does not fit into a request even without its events.
TOO_LARGE: Final = "too_large"
#: The span could not be encoded.
UNENCODABLE: Final = "unencodable"
#: The spool could not be written.
SPOOL_FAILED: Final = "spool_failed"
#: The spool was over its bound; these were its oldest spans.
SPOOL_FULL: Final = "spool_full"
#: A line of the spool had lost its end, or was no OTLP JSON.
TORN: Final = "torn"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the process began (in a forked child: since the fork).

    ended: spans handed to a processor.
    accepted: spans a collector or a stock exporter accepted at first hand.
    spooled: spans written to the spool.
    replayed: spooled spans a collector accepted later.
    waiting: spans in the queue or on their way.
    waiting_bytes: memory they keep, estimated.
    dropped: lost spans, by reason.
    spool_dropped: spans lost after they were spooled, by reason; they are in `spooled` as well.
    events_dropped: lost chunk events of spans that were not lost, by reason.
    requests: answered or failed attempts, by cause: a status code, `timeout`, `connection`, ...
    bytes_sent: bytes of requests before compression, retries included.
    unread_answers: accepted requests whose answer could not be read.
    """

    ended: int = 0
    accepted: int = 0
    spooled: int = 0
    replayed: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    spool_dropped: Mapping[str, int] = field(default_factory=dict)
    events_dropped: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    unread_answers: int = 0


class Counts:
    """The running counts of one processor; written by its export thread, but for `refuse`."""

    def __init__(self) -> None:
        self.waiting: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0)
        self.reset()
        _all_counts.add(self)

    def reset(self) -> None:
        """Start from nothing, as a forked child does; the parent may have held the lock."""
        self._lock = threading.Lock()
        self.accepted = self.spooled = self.replayed = self.bytes_sent = self.unread_answers = 0
        self.taken = 0
        self.dropped: Counter[str] = Counter()
        self.spool_dropped: Counter[str] = Counter()
        self.events_dropped: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def refuse(self, reason: str) -> None:
        """Count a span that was not even taken; called by the threads that end spans."""
        with self._lock:
            self.refused[reason] += 1

    @property
    def losses(self) -> int:
        """How many spans, and events of spans, are lost so far."""
        return sum(self.dropped.values()) + sum(self.refused.values()) + sum(self.events_dropped.values())

    def read(self) -> Statistics:
        """Return the counts as they are now."""
        with self._lock:
            refused = dict(self.refused)
        intake, waiting, waiting_bytes = self.waiting()
        return Statistics(
            # Counted where spans come in, not summed up from where they went: the two must agree.
            ended=self.taken + intake + sum(refused.values()),
            accepted=self.accepted,
            spooled=self.spooled,
            replayed=self.replayed,
            waiting=intake + waiting,
            waiting_bytes=waiting_bytes,
            dropped=_sum([self.dropped.copy(), refused]),
            spool_dropped=dict(self.spool_dropped),
            events_dropped=dict(self.events_dropped),
            requests=dict(self.requests),
            bytes_sent=self.bytes_sent,
            unread_answers=self.unread_answers,
        )


_all_counts: weakref.WeakSet[Counts] = weakref.WeakSet()


def statistics() -> Statistics:
    """Return what became of the spans of all stream span processors that exist in this process."""
    parts = [counts.read() for counts in list(_all_counts)]
    totals: dict[str, Any] = {}
    for each in fields(Statistics):
        values = [getattr(part, each.name) for part in parts]
        totals[each.name] = _sum(values) if each.default is MISSING else sum(values)
    return Statistics(**totals)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)

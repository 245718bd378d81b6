"""How often the export thread gives the GIL away. Floor 3 (tell); the export thread.

A nap costs a switch of threads and back, a fifth of what the work between two naps costs. Somebody has to
want the GIL for that to buy anything: where no other thread of the process has run lately, a program that
waits for its last flush for instance, naps are few; where an event loop is at work, each slice ends in one.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time_ns, thread_time_ns
from typing import Final

from firsttoken._clock import monotonic_ns
from firsttoken._record.worker import SLICE_NS

# Less than any callback of an event loop takes, more than reading two clocks does.
_NOTICED_NS: Final = 10_000
# For so long after another thread was seen to run, it may want to again.
_POLITE_NS: Final = 10_000_000
# Who comes after that waits no longer than this, once.
_ALONE_NS: Final = 300_000


class Pace:
    """Naps as often as others need it.

    nap: gives the GIL away; called once a slice, or a few times a millisecond at most if nobody else runs.
    """

    __slots__ = ("_look_at_ns", "_nap", "_nap_at_ns", "_others_ns", "_polite_until_ns")

    def __init__(self, nap: Callable[[], None]) -> None:
        self._nap = nap
        self._others_ns = 0
        self._look_at_ns = self._nap_at_ns = self._polite_until_ns = 0

    def breathe(self) -> None:
        """Give the GIL away if this slice is over and somebody may want it; called often."""
        now = monotonic_ns()
        if now < self._look_at_ns:
            return
        others_ns = process_time_ns() - thread_time_ns()
        if others_ns - self._others_ns > _NOTICED_NS:
            self._polite_until_ns = now + _POLITE_NS
        self._others_ns = others_ns
        if now < self._polite_until_ns or now >= self._nap_at_ns:
            self._nap()
            now = monotonic_ns()
            self._nap_at_ns = now + _ALONE_NS
        self._look_at_ns = now + SLICE_NS

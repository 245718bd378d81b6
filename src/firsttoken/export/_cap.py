"""How large a request may be, as far as servers have told. Floor 3 (tell), pure but for the clock."""

from __future__ import annotations

from typing import Final

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken.export._batch import CAP_BYTES

# A server that refuses even this is not asked to take less.
_SMALLEST_BYTES: Final = 1_024
# One odd answer, or one small server behind a balancer, must not make requests small for good.
_GROWS_EVERY_NS: Final = 300 * NS_PER_S


class RequestCap:
    """At most `CAP_BYTES`; half of what a server refuses, and twice as much again every five minutes."""

    def __init__(self) -> None:
        self._bytes = CAP_BYTES
        self._grows_at_ns = 0

    def read(self) -> int:
        """Return the most bytes the next request may have."""
        if self._bytes < CAP_BYTES and monotonic_ns() >= self._grows_at_ns:
            self._set(2 * self._bytes)
        return self._bytes

    def lower(self, refused_bytes: int) -> bool:
        """Note that a request was too large; return False if asking for less makes no sense any more."""
        if self._bytes <= _SMALLEST_BYTES:
            return False
        # Half of what was refused comes closer to the server's limit, which it does not tell.
        self._set(min(refused_bytes, self._bytes) // 2)
        return True

    def _set(self, size: int) -> None:
        self._bytes = min(max(_SMALLEST_BYTES, size), CAP_BYTES)
        self._grows_at_ns = monotonic_ns() + _GROWS_EVERY_NS

"""Percentiles of gaps, without keeping or sorting them. Floor 2 (think); runs on the thinker thread.

A sort of a million gaps holds the GIL for a third of a second. Buckets of a constant relative width
answer the same question from a few hundred counters, within 0.4 %; the longest gap is kept exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

_MANTISSA_BITS = 8


class GapHistogram:
    """Counts of gaps (ns) in logarithmic buckets."""

    __slots__ = ("_buckets", "count", "longest_ns")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.longest_ns = 0

    def add(self, gap_ns: int) -> None:
        """Count one gap."""
        self.extend((gap_ns,))

    def extend(self, gaps_ns: Sequence[int]) -> None:
        """Count several gaps, at least one."""
        buckets = self._buckets
        for gap_ns in gaps_ns:
            bits = gap_ns.bit_length()
            shift = bits - _MANTISSA_BITS if bits > _MANTISSA_BITS else 0
            bucket = shift << _MANTISSA_BITS | gap_ns >> shift
            buckets[bucket] = buckets.get(bucket, 0) + 1
        self.count += len(gaps_ns)
        self.longest_ns = max(self.longest_ns, *gaps_ns)

    def percentiles(self, *ranks: float) -> list[int]:
        """Return the gap (ns) at each rank, by the nearest-rank method; nothing if there was no gap.

        ranks: between 0 and 1, ascending.
        """
        found: list[int] = []
        wanted = iter(ranks)
        rank = next(wanted, None)
        seen = 0
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            while rank is not None and seen >= rank * self.count:
                found.append(min(_middle_of(bucket), self.longest_ns))
                rank = next(wanted, None)
        return found


def _middle_of(bucket: int) -> int:
    shift = bucket >> _MANTISSA_BITS
    mantissa = bucket & ((1 << _MANTISSA_BITS) - 1)
    return (mantissa << shift) + ((1 << shift) >> 1)

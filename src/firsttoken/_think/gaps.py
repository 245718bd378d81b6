"""Percentiles of gaps in bounded memory. Floor 2 (think); runs on the thinker thread.

Few gaps are kept as they are: sorted at the end, they give exact percentiles. A sort of a million holds the
GIL for a third of a second. More than a few go into buckets of a constant relative width, which answer the
same question from some hundred counters, within 0.4 %. The longest gap is always exact.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from math import ceil
from struct import pack, unpack
from typing import Final

from firsttoken._think.lanes import BYTE_ORDER

#: So many gaps are kept as they are. To sort them takes some 20 µs, to put them into buckets 35.
MAX_KEPT: Final = 512
#: The upper half of a 32 bit float is its exponent and the first 7 bits after the point: a bucket.
_UPPER_HALVES: Final = slice(BYTE_ORDER == "little", None, 2)
#: Half a bucket: the first bit of the lower half.
_HALF: Final = 0x8000


class GapHistogram:
    """The gaps (ns) themselves, or their counts in logarithmic buckets."""

    __slots__ = ("_bucketed_count", "_bucketed_longest_ns", "_buckets", "_kept")

    def __init__(self) -> None:
        self._kept: array[int] = array("q")
        self._buckets: Counter[int] = Counter()
        self._bucketed_count = 0
        self._bucketed_longest_ns = 0

    @property
    def count(self) -> int:
        """How many gaps there were."""
        return self._bucketed_count + len(self._kept)

    @property
    def longest_ns(self) -> int:
        """The longest of them; 0 if there was none."""
        return max(self._bucketed_longest_ns, max(self._kept, default=0))

    def add(self, gap_ns: int) -> None:
        """Count one gap."""
        self.extend((gap_ns,))

    def extend(self, gaps_ns: Iterable[int]) -> None:
        """Count several gaps, some hundreds at most."""
        kept = self._kept
        kept.extend(gaps_ns)
        while len(kept) >= MAX_KEPT:
            self._put_into_buckets(kept[:MAX_KEPT])
            del kept[:MAX_KEPT]

    def percentiles(self, *ranks: float) -> list[int]:
        """Return the gap (ns) at each rank, by the nearest-rank method; nothing if there was no gap.

        ranks: between 0 and 1, ascending.
        """
        if not self._bucketed_count:
            gaps = sorted(self._kept)
            return [gaps[max(0, ceil(rank * len(gaps)) - 1)] for rank in ranks] if gaps else []
        if self._kept:
            self._put_into_buckets(self._kept)
            self._kept = array("q")
        found: list[int] = []
        wanted = iter(ranks)
        rank = next(wanted, None)
        seen = 0
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            while rank is not None and seen >= rank * self._bucketed_count:
                found.append(min(_middle_of(bucket), self._bucketed_longest_ns))
                rank = next(wanted, None)
        return found

    def _put_into_buckets(self, gaps_ns: array[int]) -> None:
        floats = array("f", gaps_ns.tolist())
        self._buckets.update(array("H", floats.tobytes())[_UPPER_HALVES])
        self._bucketed_count += len(gaps_ns)
        self._bucketed_longest_ns = max(self._bucketed_longest_ns, max(gaps_ns))


def _middle_of(bucket: int) -> int:
    (middle,) = unpack("f", pack("I", bucket << 16 | _HALF))
    return int(middle)

"""The last loop blocks, readable from any thread at any time.

Floor 4. Only the watchdog thread writes; readers take a whole tuple, so they need no lock.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import Final

from firsttoken.blocking._culprit import LoopBlock

RING_SIZE: Final = 256
MAX_THREADS: Final = 64

_ended = attrgetter("ended_ns")


class BlockRings:
    """A bounded ring of blocks for each thread, so that no busy loop evicts what happened in another."""

    def __init__(self) -> None:
        self._rings: dict[int, tuple[LoopBlock, ...]] = {}

    def add(self, block: LoopBlock) -> None:
        """Remember `block`, later than all before it in its thread."""
        rings = self._rings
        rings[block.thread_id] = (*rings.get(block.thread_id, ())[1 - RING_SIZE :], block)
        if len(rings) > MAX_THREADS:
            del rings[min(rings, key=lambda thread_id: rings[thread_id][-1].ended_ns)]

    def overlapping(self, thread_id: int | None, since_ns: int, until_ns: int | None) -> list[LoopBlock]:
        """Return the blocks that overlap a span (monotonic ns), oldest first.

        thread_id: the loop's thread, None for all.
        """
        if thread_id is not None:
            return _overlapping(self._rings.get(thread_id, ()), since_ns, until_ns)
        rings = list(self._rings.values())
        return sorted((b for ring in rings for b in _overlapping(ring, since_ns, until_ns)), key=_ended)


def _overlapping(ring: tuple[LoopBlock, ...], since_ns: int, until_ns: int | None) -> list[LoopBlock]:
    later = ring[bisect_right(ring, since_ns, key=_ended) :]
    return [block for block in later if until_ns is None or block.started_ns < until_ns]


_recent: tuple[LoopBlock, ...] = ()


def remember(block: LoopBlock) -> None:
    """Add `block` to what `recent` returns, unless another monitor of the same loop told it already."""
    global _recent
    # Blocks of one thread never overlap: one that does is the same block.
    if not any(b.thread_id == block.thread_id and b.ended_ns > block.started_ns for b in _recent):
        _recent = (*_recent[1 - RING_SIZE :], block)


def recent() -> list[LoopBlock]:
    """Return the last blocks of all monitors in this process, newest last."""
    return list(_recent)

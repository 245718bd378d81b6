"""The last loop blocks and stalls, readable from any thread at any time.

Floor 4. Blocks are written by the watchdog thread alone, stalls by the teller thread; readers take a copy
that is made in one step, so they need no lock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from opentelemetry.trace import Span

from firsttoken._clock import monotonic_ns
from firsttoken.blocking._culprit import LoopBlock
from firsttoken.summary import Stall

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


@dataclass(frozen=True)
class StreamStall:
    """A stall of one stream, remembered when that stream was told.

    name: of the stream's span.
    trace_id, span_id: where to read more of it; 0 where it has no span.
    told_ns: when it was remembered, on the monotonic clock.
    """

    name: str
    trace_id: int
    span_id: int
    told_ns: int
    stall: Stall


# Apart, so that a block that stalls a hundred streams is not pushed out by their stalls.
_blocks: deque[LoopBlock] = deque(maxlen=RING_SIZE)
_stalls: deque[StreamStall] = deque(maxlen=RING_SIZE)


def remember(block: LoopBlock) -> bool:
    """Add `block` to what `recent` returns; return False if another monitor told it already."""
    # Blocks of one thread never overlap: one that does is the same block.
    if any(b.thread_id == block.thread_id and b.ended_ns > block.started_ns for b in _blocks):
        return False
    _blocks.append(block)
    return True


def remember_stalls(name: str, span: Span, stalls: Iterable[Stall]) -> None:
    """Add the stalls of one stream, told on `span`, to what `recent` returns."""
    context, now_ns = span.get_span_context(), monotonic_ns()
    _stalls.extend(StreamStall(name, context.trace_id, context.span_id, now_ns, stall) for stall in stalls)


def recent() -> list[LoopBlock | StreamStall]:
    """Return the last blocks and stalls of this process, 256 of each, newest last.

    Blocks of all monitors, when they ended; stalls of the streams that were told, when they were.
    """
    # Copied in one step: the threads that add to them do not wait for us.
    return sorted((*_blocks.copy(), *_stalls.copy()), key=_known_ns)


def _known_ns(remembered: LoopBlock | StreamStall) -> int:
    return remembered.ended_ns if isinstance(remembered, LoopBlock) else remembered.told_ns

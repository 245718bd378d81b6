"""Blocks of an event loop, as one stream felt them. Floor 2 (think): pure; thinker thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Protocol

#: More blocks than this are counted, but not told one by one; the longest are.
MAX_BLOCKS: Final = 32


class Block(Protocol):
    """A stretch of monotonic time (ns) in which the event loop was held, whose line it was, and how."""

    @property
    def started_ns(self) -> int: ...
    @property
    def ended_ns(self) -> int: ...
    @property
    def file(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...
    @property
    def function(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def other_thread(self) -> str | None: ...
    @property
    def stack(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class FeltBlock:
    """A loop block as one stream felt it.

    started_ns: Unix time at which it began, or the stream if that was later.
    duration_ns: of the whole block. cost_ns: the part of it that fell into the stream.
    file, line, function: the code that held the loop; None where nobody knows.
    kind: `cpu`, `io`, `gil_or_cpu_wait` or `gc`. thread: where that code ran, if not on the loop's thread.
    stack: "file:line function", outermost first; of the costliest block of a stream alone.
    """

    started_ns: int
    duration_ns: int
    cost_ns: int
    file: str | None
    line: int | None
    function: str | None
    kind: str
    thread: str | None
    stack: tuple[str, ...]


@dataclass(frozen=True)
class LoopBlocks:
    """All that blocked one stream's event loop.

    count: of all blocks; `felt` holds the costliest of them, oldest first.
    culprit: "file:line function" of the place that cost most, all its blocks together; None if not known.
    culprit_ns: what that place cost.
    """

    count: int = 0
    felt: tuple[FeltBlock, ...] = ()
    culprit: str | None = None
    culprit_ns: int = 0


def overlap(begin_ns: int, end_ns: int, block: Block) -> int:
    """Return how long `block` held the loop between two monotonic times (ns)."""
    return max(0, min(end_ns, block.ended_ns) - max(begin_ns, block.started_ns))


def worst(blocks: Sequence[Block], begin_ns: int, end_ns: int) -> tuple[Block | None, int]:
    """Return the longest block at the place that held the loop longest between two times, and its sum (ns).

    Many short blocks at one line outweigh a single longer one at another.
    """
    spent: Counter[tuple[str | None, int | None, str | None]] = Counter()
    for block in blocks:
        spent[_place(block)] += overlap(begin_ns, end_ns, block)
    if not +spent:
        return None, 0
    place, spent_ns = spent.most_common(1)[0]
    longest = max(
        (block for block in blocks if _place(block) == place),
        key=lambda block: overlap(begin_ns, end_ns, block),
    )
    return longest, spent_ns


def felt(blocks: Sequence[Block], begin_ns: int, end_ns: int, wall_offset_ns: int) -> LoopBlocks:
    """Return what a stream that lived from `begin_ns` to `end_ns` (monotonic) felt of `blocks`."""
    costs = [(overlap(begin_ns, end_ns, block), block) for block in blocks]
    costs = [(cost_ns, block) for cost_ns, block in costs if cost_ns]
    if not costs:
        return LoopBlocks()
    costs.sort(key=lambda cost: -cost[0])
    told = [
        FeltBlock(
            max(block.started_ns, begin_ns) + wall_offset_ns,
            block.ended_ns - block.started_ns,
            cost_ns,
            block.file,
            block.line,
            block.function,
            block.kind,
            block.other_thread,
            () if rank else block.stack,
        )
        for rank, (cost_ns, block) in enumerate(costs[:MAX_BLOCKS])
    ]
    told.sort(key=attrgetter("started_ns"))
    place, place_ns = worst(blocks, begin_ns, end_ns)
    known = place is not None and place.file is not None
    return LoopBlocks(
        count=len(costs),
        felt=tuple(told),
        culprit=f"{place.file}:{place.line} {place.function}" if place and known else None,
        culprit_ns=place_ns if known else 0,
    )


def _place(block: Block) -> tuple[str | None, int | None, str | None]:
    return block.file, block.line, block.function

"""The chunks of one stream as span events, still packed. Floor 2 (think); runs on background threads.

A span event per token is cheap only for as long as it is not an object. Here all of them are a few flat
arrays: our own exporter lays them out as bytes, any other gets them one by one from `rows`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from firsttoken._think.lanes import differences, shifted

NO_GAP = -1
#: So many chunks are coalesced in one go, in some 100 µs, unless a single group has more.
_AT_ONCE: Final = 1024


def _no_pause() -> None:
    return None


class ChunkEvents:
    """What the `firsttoken.chunk` events of one span say, oldest first.

    times_ns: Unix time of each event.
    sequences: index in the stream of the first chunk each event stands for; None if event i is chunk i.
    gaps_ns: longest gap that ended at a chunk of the event, `NO_GAP` where there was none; None if it
        is the difference to the event before.
    counts: how many chunks each event stands for; None if one each.
    texts: captured content of each event, where the user opted in; else None.
    """

    __slots__ = ("counts", "gaps_ns", "sequences", "texts", "times_ns")

    def __init__(
        self,
        times_ns: array[int],
        sequences: array[int] | None = None,
        gaps_ns: array[int] | None = None,
        counts: array[int] | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        self.times_ns = times_ns
        self.sequences = sequences
        self.gaps_ns = gaps_ns
        self.counts = counts
        self.texts = texts

    @classmethod
    def none(cls) -> ChunkEvents:
        """Return no events."""
        return cls(array("q"))

    def __len__(self) -> int:
        return len(self.times_ns)

    def row(self, index: int) -> tuple[int, int, int, int, str | None]:
        """Return (time_ns, sequence, gap_ns, count, text) of event `index`, from 0."""
        times = self.times_ns
        if self.gaps_ns is not None:
            gap_ns = self.gaps_ns[index]
        else:
            gap_ns = times[index] - times[index - 1] if index else NO_GAP
        return (
            times[index],
            self.sequences[index] if self.sequences is not None else index,
            gap_ns,
            self.counts[index] if self.counts is not None else 1,
            self.texts[index] if self.texts is not None else None,
        )

    def rows(self) -> Iterator[tuple[int, int, int, int, str | None]]:
        """Yield the `row` of each event, lazily."""
        return map(self.row, range(len(self)))

    def coalesced(self, limit: int, breathe: Callable[[], None] = _no_pause) -> ChunkEvents:
        """Return at most `limit` events: neighbours join, and the longest gap among them is kept.

        limit: at least 1. The first and the last chunk keep an event of their own where it is over 2.
        breathe: called every few groups; may give the GIL away.
        """
        size = len(self)
        if size <= limit:
            return self
        times, sequences, gaps, counts = array("q"), array("q"), array("q"), array("q")
        texts: list[str] | None = None if self.texts is None else []
        bounds = _group_bounds(size, limit)
        at_once = max(1, _AT_ONCE * limit // size)
        for at in range(0, limit, at_once):
            groups = list(pairwise(bounds[at : at + at_once + 1]))
            times.extend([self.times_ns[begin] for begin, _ in groups])
            gaps.extend(self._longest_gaps(groups))
            if self.sequences is None:
                sequences.extend([begin for begin, _ in groups])
            else:
                sequences.extend([self.sequences[begin] for begin, _ in groups])
            if self.counts is None:
                counts.extend([end - begin for begin, end in groups])
            else:
                counts.extend([sum(self.counts[begin:end]) for begin, end in groups])
            if texts is not None and self.texts is not None:
                texts += ["".join(self.texts[begin:end]) for begin, end in groups]
            breathe()
        return ChunkEvents(times, sequences, gaps, counts, texts)

    def shifted(self, by_ns: int) -> ChunkEvents:
        """Return the same events, each `by_ns` later."""
        times_ns = shifted(self.times_ns, by_ns)
        return ChunkEvents(times_ns, self.sequences, self.gaps_ns, self.counts, self.texts)

    def _longest_gaps(self, groups: Sequence[tuple[int, int]]) -> list[int]:
        if self.gaps_ns is not None:
            return [max(self.gaps_ns[begin:end]) for begin, end in groups]
        first, last = groups[0][0], groups[-1][1]
        gaps = differences(self.times_ns[max(0, first - 1) : last]).tolist()
        if not first:
            gaps.insert(0, NO_GAP)
        return [max(gaps[begin - first : end - first]) for begin, end in groups]


def _group_bounds(size: int, limit: int) -> list[int]:
    """Return where each of `limit` groups of `size` events begins, and where the last one ends."""
    if limit <= 2:
        return [size * group // limit for group in range(limit)] + [size]
    inner = limit - 2
    return [0, *(1 + (size - 2) * group // inner for group in range(inner)), size - 1, size]

"""Gaps as a line of blocks, on a time axis that all streams share. Pure.

A column is a stretch of time, its height the longest gap that passes through it: what stops all streams
at once stands as a wall across the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
#: For terminals that have no blocks.
ASCII: Final = ".:-=+*#@"
#: Gaps up to this have the lowest height (s).
FLOOR_S: Final = 0.02


def ramp_for(encoding: str | None) -> str:
    """Return the characters, low to high, that a terminal with this encoding can show."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def columns(
    times_s: Sequence[float], ended_s: float | None, span_s: float, width: int
) -> list[float | None]:
    """Return the longest gap (s) in each of `width` columns; None where the stream is not.

    times_s: of arrivals, ascending, on an axis that begins at 0.
    ended_s: when the stream ended: what passes until then counts as a gap; None if it has not.
    span_s: length of the axis.
    """
    longest: list[float | None] = [None] * width
    if not times_s or span_s <= 0:
        return longest
    bounds = [*times_s, *([ended_s] if ended_s is not None and ended_s > times_s[-1] else [])]
    if len(bounds) == 1:
        bounds *= 2
    for begin_s, end_s in pairwise(bounds):
        first, last = column_of(begin_s, span_s, width), column_of(end_s, span_s, width)
        for column in range(first, last + 1):
            longest[column] = max(longest[column] or 0.0, end_s - begin_s)
    return longest


def column_of(time_s: float, span_s: float, width: int) -> int:
    """Return the column that a time falls in."""
    return min(width - 1, max(0, int(time_s / span_s * width)))


def height(gap_s: float, top_s: float, levels: int = len(BLOCKS)) -> int:
    """Return the height of a gap, from 0 to `levels - 1`, on a logarithmic scale up to `top_s`."""
    if gap_s <= FLOOR_S or top_s <= FLOOR_S:
        return 0
    share = math.log(gap_s / FLOOR_S) / math.log(top_s / FLOOR_S)
    return min(levels - 1, max(0, round(share * (levels - 1))))


def sparkline(gaps_s: Iterable[float | None], top_s: float, ramp: str = BLOCKS) -> str:
    """Return one character per gap; a space where there is none."""
    return "".join(" " if gap is None else ramp[height(gap, top_s, len(ramp))] for gap in gaps_s)

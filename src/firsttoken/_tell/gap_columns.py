"""Gaps on a time axis that is cut into equal columns. Floor 3 (tell), pure; any thread.

A column is a stretch of time, its value the longest gap that passes through it: what stops all streams
at once stands as a wall across the lines of a chart.
"""

from __future__ import annotations

from collections.abc import Sequence


def columns(
    times_s: Sequence[float], ended_s: float | None, span_s: float, width: int
) -> list[float | None]:
    """Return the longest gap (s) in each of `width` columns; None where the stream is not.

    times_s: of arrivals, ascending, on an axis that begins at 0.
    ended_s: when the stream ended: what passes until then counts as a gap; None if it has not.
    span_s: length of the axis.
    """
    if not times_s or span_s <= 0:
        return [None] * width
    longest = [-1.0] * width
    bounds = [*times_s, *([ended_s] if ended_s is not None and ended_s > times_s[-1] else [])]
    before_s, before = bounds[0], column_of(bounds[0], span_s, width)
    if len(bounds) == 1:
        longest[before] = 0.0
    for at_s in bounds[1:]:
        gap_s = at_s - before_s
        # `column_of`, written out: a call would cost as much as all the rest of it.
        place = int(at_s / span_s * width)
        if place == before:
            if gap_s > longest[place]:
                longest[place] = gap_s
        else:
            place = min(width - 1, max(0, place))
            for column in range(before, place + 1):
                if gap_s > longest[column]:
                    longest[column] = gap_s
        before_s, before = at_s, place
    return [None if gap_s < 0 else gap_s for gap_s in longest]


def column_of(time_s: float, span_s: float, width: int) -> int:
    """Return the column that a time falls in."""
    return min(width - 1, max(0, int(time_s / span_s * width)))

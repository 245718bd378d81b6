"""Gaps as a line of blocks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
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


def height(gap_s: float, top_s: float, levels: int = len(BLOCKS)) -> int:
    """Return the height of a gap, from 0 to `levels - 1`, on a logarithmic scale up to `top_s`."""
    if gap_s <= FLOOR_S or top_s <= FLOOR_S:
        return 0
    share = math.log(gap_s / FLOOR_S) / math.log(top_s / FLOOR_S)
    return min(levels - 1, max(0, round(share * (levels - 1))))


def sparkline(gaps_s: Iterable[float | None], top_s: float, ramp: str = BLOCKS) -> str:
    """Return one character per gap; a space where there is none."""
    return "".join(" " if gap is None else ramp[height(gap, top_s, len(ramp))] for gap in gaps_s)

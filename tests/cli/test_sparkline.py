"""The gap chart's heights, and the characters they are drawn with."""

from __future__ import annotations

import pytest

from firsttoken.cli._sparkline import ASCII, BLOCKS, FLOOR_S, height, ramp_for, sparkline


def test_heights_grow_with_the_logarithm_of_the_gap() -> None:
    heights = [height(gap, 2.56) for gap in (0.0, FLOOR_S, 0.08, 0.32, 2.56, 9.0)]
    assert heights == [0, 0, 2, 4, 7, 7]


def test_all_gaps_are_low_where_none_is_above_the_floor() -> None:
    assert height(0.01, 0.01) == 0


def test_a_sparkline_has_one_character_per_gap() -> None:
    assert sparkline([None, 0.01, 2.0], 2.0) == " ▁█"
    assert sparkline([None, 0.01, 2.0], 2.0, ASCII) == " .@"


@pytest.mark.parametrize(
    ("encoding", "ramp"),
    [("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no such encoding", ASCII)],
)
def test_a_terminal_without_blocks_gets_plain_characters(encoding: str | None, ramp: str) -> None:
    assert ramp_for(encoding) == ramp

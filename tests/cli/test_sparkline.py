"""The gap chart's columns and heights."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.cli._sparkline import (
    ASCII,
    BLOCKS,
    FLOOR_S,
    column_of,
    columns,
    height,
    ramp_for,
    sparkline,
)


def test_each_column_has_the_longest_gap_that_passes_through_it() -> None:
    assert columns([0.0, 0.1, 0.2, 0.9, 1.0], 1.0, 1.0, 10) == pytest.approx([0.1, 0.1] + [0.7] * 8)


def test_a_stream_is_drawn_from_its_first_arrival_to_its_end_only() -> None:
    drawn = columns([0.5, 0.6], 0.7, 2.0, 20)
    assert [index for index, gap in enumerate(drawn) if gap is not None] == [5, 6, 7]


def test_what_passes_between_the_last_arrival_and_the_end_is_a_gap() -> None:
    assert columns([0.0], 1.0, 1.0, 4) == [1.0] * 4


def test_one_arrival_of_a_running_stream_is_one_column_of_no_gap() -> None:
    assert columns([0.5], None, 1.0, 4) == [None, None, 0.0, None]


@pytest.mark.parametrize(("times", "span"), [([], 1.0), ([0.1], 0.0)])
def test_nothing_to_draw_is_drawn_as_nothing(times: list[float], span: float) -> None:
    assert columns(times, None, span, 5) == [None] * 5


@given(
    st.lists(st.floats(0, 10), min_size=2).map(sorted),
    st.integers(1, 200),
)
def test_the_longest_gap_is_in_the_chart_whatever_its_width(times: list[float], width: int) -> None:
    drawn = columns(times, None, 10.0, width)
    longest = max(after - before for before, after in pairwise(times))
    assert len(drawn) == width
    assert max(gap for gap in drawn if gap is not None) == longest


def test_heights_grow_with_the_logarithm_of_the_gap() -> None:
    heights = [height(gap, 2.56) for gap in (0.0, FLOOR_S, 0.08, 0.32, 2.56, 9.0)]
    assert heights == [0, 0, 2, 4, 7, 7]


def test_all_gaps_are_low_where_none_is_above_the_floor() -> None:
    assert height(0.01, 0.01) == 0


def test_a_sparkline_has_one_character_per_gap() -> None:
    assert sparkline([None, 0.01, 2.0], 2.0) == " ▁█"
    assert sparkline([None, 0.01, 2.0], 2.0, ASCII) == " .@"


def test_times_beyond_the_axis_fall_into_its_last_column() -> None:
    assert (column_of(-1.0, 2.0, 10), column_of(2.5, 2.0, 10)) == (0, 9)


@pytest.mark.parametrize(
    ("encoding", "ramp"),
    [("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no such encoding", ASCII)],
)
def test_a_terminal_without_blocks_gets_plain_characters(encoding: str | None, ramp: str) -> None:
    assert ramp_for(encoding) == ramp

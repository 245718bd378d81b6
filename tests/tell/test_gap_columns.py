"""A time axis in columns: each has the longest gap that passes through it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._tell.gap_columns import column_of, columns


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


def test_times_beyond_the_axis_fall_into_its_last_column() -> None:
    assert (column_of(-1.0, 2.0, 10), column_of(2.5, 2.0, 10)) == (0, 9)

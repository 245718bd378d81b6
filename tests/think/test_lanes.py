"""Whole arrays at once: the same numbers as one by one."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from firsttoken._think.lanes import differences, shifted

times_ns = st.lists(st.integers(0, 2**62), min_size=1, max_size=200).map(sorted)


@given(times_ns)
def test_differences_are_those_of_neighbours(times: list[int]) -> None:
    found = differences(array("q", times))
    assert list(found) == [after - before for before, after in pairwise(times)]


@given(times_ns, st.integers(0, 2**61))
def test_each_time_is_shifted_there_and_back(times: list[int], by: int) -> None:
    later = shifted(array("q", times), by)
    assert list(later) == [time + by for time in times]
    assert list(shifted(later, -by)) == times


def test_of_no_times_there_is_nothing_to_shift() -> None:
    assert shifted(array("q"), 5) == array("q")

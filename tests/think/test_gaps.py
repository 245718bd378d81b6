"""Percentiles from buckets: within 0.4 % of the exact ones, the longest gap exact."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from firsttoken._think.gaps import GapHistogram

RANKS = (0.5, 0.95, 0.99)
gaps_ns = st.lists(st.integers(0, 10**13) | st.integers(0, 300), min_size=1, max_size=300)


def histogram_of(gaps: list[int]) -> GapHistogram:
    histogram = GapHistogram()
    for gap in gaps:
        histogram.add(gap)
    return histogram


@given(gaps_ns)
def test_percentiles_are_within_0_4_percent_of_the_nearest_rank(gaps: list[int]) -> None:
    found = histogram_of(gaps).percentiles(*RANKS)
    assert len(found) == len(RANKS)
    for rank, percentile in zip(RANKS, found, strict=True):
        exact = sorted(gaps)[max(0, math.ceil(rank * len(gaps)) - 1)]
        assert abs(percentile - exact) <= exact * 0.004


@given(gaps_ns)
def test_count_and_longest_are_exact_and_nothing_is_above_the_longest(gaps: list[int]) -> None:
    histogram = histogram_of(gaps)
    assert (histogram.count, histogram.longest_ns) == (len(gaps), max(gaps))
    percentiles = histogram.percentiles(*RANKS, 1.0)
    assert percentiles == sorted(percentiles)
    assert percentiles[-1] <= max(gaps)


@given(st.integers(0, 255))
def test_short_gaps_are_exact(gap: int) -> None:
    assert histogram_of([gap]).percentiles(0.5) == [gap]


def test_without_gaps_there_are_no_percentiles() -> None:
    assert GapHistogram().percentiles(*RANKS) == []


def test_a_million_gaps_are_a_few_hundred_counters() -> None:
    histogram = GapHistogram()
    for gap in range(0, 10**9, 10**4):
        histogram.add(gap)
    assert histogram.count == 10**5
    assert len(histogram._buckets) < 4000

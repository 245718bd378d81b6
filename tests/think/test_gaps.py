"""Percentiles: exact of few gaps, within 0.4 % of many; the longest gap always exact."""

from __future__ import annotations

import math
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._think.gaps import MAX_KEPT, GapHistogram

RANKS = (0.5, 0.95, 0.99)
gaps_ns = st.lists(st.integers(0, 10**13) | st.integers(0, 300), min_size=1, max_size=300)


def histogram_of(gaps: list[int]) -> GapHistogram:
    histogram = GapHistogram()
    for gap in gaps:
        histogram.add(gap)
    return histogram


def nearest_rank(gaps: list[int], rank: float) -> int:
    return sorted(gaps)[max(0, math.ceil(rank * len(gaps)) - 1)]


@given(gaps_ns, st.lists(st.floats(0, 1), max_size=5).map(sorted))
def test_percentiles_of_few_gaps_are_the_nearest_ranks(gaps: list[int], ranks: list[float]) -> None:
    assert histogram_of(gaps).percentiles(*ranks) == [nearest_rank(gaps, rank) for rank in ranks]


@given(gaps_ns, st.integers(0, 2))
def test_percentiles_of_many_gaps_are_within_0_4_percent(some: list[int], more: int) -> None:
    gaps = some * (MAX_KEPT // len(some) + 1 + more)
    histogram = histogram_of(gaps)
    found = histogram.percentiles(0.0, *RANKS, 1.0)
    for rank, percentile in zip((0.0, *RANKS, 1.0), found, strict=True):
        exact = nearest_rank(gaps, rank)
        assert abs(percentile - exact) <= exact * 0.004
    assert histogram.percentiles(0.0, *RANKS, 1.0) == found
    assert (histogram.count, histogram.longest_ns) == (len(gaps), max(gaps))


@pytest.mark.parametrize("size", [MAX_KEPT - 1, MAX_KEPT, MAX_KEPT + 1, 5 * MAX_KEPT // 2])
def test_it_does_not_matter_how_many_gaps_come_at_once(size: int) -> None:
    rng = random.Random(size)
    gaps = [rng.randrange(10**9) for _ in range(size)]
    single, several = histogram_of(gaps), GapHistogram()
    begin = 0
    while begin < size:
        end = begin + rng.randrange(600)
        several.extend(array("q", gaps[begin:end]))
        begin = end
    assert single.percentiles(*RANKS) == several.percentiles(*RANKS)
    assert (single.count, single.longest_ns) == (several.count, several.longest_ns) == (size, max(gaps))


@given(gaps_ns)
def test_count_and_longest_are_exact_and_nothing_is_above_the_longest(gaps: list[int]) -> None:
    histogram = histogram_of(gaps)
    assert (histogram.count, histogram.longest_ns) == (len(gaps), max(gaps))
    percentiles = histogram.percentiles(*RANKS, 1.0)
    assert percentiles == sorted(percentiles)
    assert percentiles[-1] <= max(gaps)


@given(st.integers(0, 255))
def test_short_gaps_are_exact_in_their_bucket_as_well(gap: int) -> None:
    histogram = histogram_of([gap] * MAX_KEPT + [10**9])
    assert histogram.percentiles(0.5) == [gap]


def test_without_gaps_there_are_no_percentiles() -> None:
    assert GapHistogram().percentiles(*RANKS) == []
    assert (GapHistogram().count, GapHistogram().longest_ns) == (0, 0)


def test_a_million_gaps_are_a_few_hundred_counters() -> None:
    histogram = GapHistogram()
    for gap in range(0, 10**9, 10**4):
        histogram.add(gap)
    assert histogram.count == 10**5
    assert len(histogram._buckets) < 4000
    assert len(histogram._kept) < MAX_KEPT

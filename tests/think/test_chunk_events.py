"""Chunk events: packed, read back one by one, and coalesced without losing a chunk or its longest gap."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firsttoken._think.chunk_events import NO_GAP, ChunkEvents

times_ns = st.lists(st.integers(0, 10**15), min_size=1, max_size=120).map(sorted)
limits = st.integers(1, 60)


def gap_at(times: list[int], index: int) -> int:
    return times[index] - times[index - 1] if index else NO_GAP


def test_each_chunk_is_one_row_with_its_gap() -> None:
    events = ChunkEvents(array("q", [10, 15, 35]), texts=["a", "b", "c"])
    assert list(events.rows()) == [(10, 0, NO_GAP, 1, "a"), (15, 1, 5, 1, "b"), (35, 2, 20, 1, "c")]


@given(times_ns, limits)
def test_any_row_is_read_by_its_index(times: list[int], limit: int) -> None:
    for events in (ChunkEvents(array("q", times)), ChunkEvents(array("q", times)).coalesced(limit)):
        assert [events.row(index) for index in range(len(events))] == list(events.rows())


def test_no_events_are_no_rows() -> None:
    assert len(ChunkEvents.none()) == 0
    assert list(ChunkEvents.none().rows()) == []
    assert list(ChunkEvents.none().coalesced(1).rows()) == []


@given(times_ns, limits)
def test_coalescing_keeps_every_chunk_in_a_row_of_its_time(times: list[int], limit: int) -> None:
    rows = list(ChunkEvents(array("q", times)).coalesced(limit).rows())
    assert len(rows) == min(limit, len(times))
    next_sequence = 0
    for time_ns, sequence, _, count, _ in rows:
        assert sequence == next_sequence
        assert time_ns == times[sequence]
        next_sequence += count
    assert next_sequence == len(times)


@given(times_ns, limits)
def test_coalescing_keeps_the_longest_gap_of_each_group(times: list[int], limit: int) -> None:
    for _, first, gap_ns, count, _ in ChunkEvents(array("q", times)).coalesced(limit).rows():
        assert gap_ns == max(gap_at(times, index) for index in range(first, first + count))


def test_long_streams_are_coalesced_like_short_ones() -> None:
    times = [index * index for index in range(5_000)]
    for limit in (3, 700, 1_000, 4_999):
        rows = list(ChunkEvents(array("q", times)).coalesced(limit).rows())
        assert [row[1] for row in rows] == [0, *accumulate(row[3] for row in rows[:-1])]
        assert [row[0] for row in rows] == [times[row[1]] for row in rows]
        assert [row[2] for row in rows] == [gap_at(times, row[1] + row[3] - 1) for row in rows]


@given(times_ns, limits, limits)
def test_coalescing_twice_keeps_as_much_as_once(times: list[int], first_limit: int, limit: int) -> None:
    rows = list(ChunkEvents(array("q", times)).coalesced(first_limit).coalesced(limit).rows())
    assert sum(row[3] for row in rows) == len(times)
    assert max(row[2] for row in rows) == max(gap_at(times, index) for index in range(len(times)))
    assert all(row[0] == times[row[1]] for row in rows)


@given(times_ns, st.integers(3, 60))
def test_the_first_and_the_last_chunk_keep_an_event_of_their_own(times: list[int], limit: int) -> None:
    assume(len(times) > 1)
    rows = list(ChunkEvents(array("q", times)).coalesced(limit).rows())
    assert (rows[0][1], rows[0][3]) == (0, 1)
    assert (rows[-1][1], rows[-1][3]) == (len(times) - 1, 1)


@given(times_ns, limits)
def test_coalescing_joins_the_texts(times: list[int], limit: int) -> None:
    texts = [f"{index} " for index in range(len(times))]
    rows: list[Any] = list(ChunkEvents(array("q", times), texts=texts).coalesced(limit).rows())
    assert "".join(row[4] for row in rows) == "".join(texts)


def test_what_fits_is_left_alone() -> None:
    events = ChunkEvents(array("q", [1, 2, 3]))
    assert events.coalesced(3) is events


@pytest.mark.parametrize(("size", "limit", "at_least"), [(10_000, 1_000, 9), (100_000, 10, 10)])
def test_coalescing_breathes_every_few_groups_and_after_each_long_one(
    size: int, limit: int, at_least: int
) -> None:
    breaths: list[None] = []
    ChunkEvents(array("q", range(size))).coalesced(limit, lambda: breaths.append(None))
    assert len(breaths) >= at_least


@given(times_ns, st.integers(0, 10**18))
def test_shifted_events_differ_in_their_times_alone(times: list[int], by_ns: int) -> None:
    events = ChunkEvents(array("q", times), texts=["a"] * len(times)).coalesced(7)
    moved = [(time_ns + by_ns, *rest) for time_ns, *rest in events.rows()]
    assert list(events.shifted(by_ns).rows()) == moved

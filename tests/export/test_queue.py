"""The queue keeps its bound, and drops what is worth least first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.export._queue import SpanQueue
from tests.export.spans import chunk_events, entry


def numbers(queue: SpanQueue) -> list[int]:
    return [queue.take().number for _ in range(len(queue))]


def test_spans_leave_in_the_order_they_came_whatever_they_are_worth() -> None:
    queue = SpanQueue(10**9)
    for number in range(6):
        queue.append(entry(number, valued=number % 3 == 0))
    assert numbers(queue) == [0, 1, 2, 3, 4, 5]
    assert queue.bytes == queue.request_bytes == 0


def test_event_detail_goes_before_any_span_and_the_span_says_so() -> None:
    detailed = [entry(number, chunk_events(1000), valued=number == 0) for number in range(3)]
    queue = SpanQueue(sum(each.size for each in detailed) - 1)
    for each in detailed:
        lost = queue.append(each)
    assert lost == (1000, [])
    # The healthy one's detail, although the valued one is older.
    assert [each.dropped_chunks for each in detailed] == [0, 1000, 0]


def test_healthy_spans_go_before_valued_ones_oldest_first() -> None:
    entries = [entry(number, valued=number < 2) for number in range(5)]
    queue = SpanQueue(entries[0].size * 3 + 10)
    gone = [each.number for item in entries for each in queue.append(item)[1]]
    assert gone == [2, 3]
    assert numbers(queue) == [0, 1, 4]


def test_when_only_valued_spans_are_left_the_oldest_goes() -> None:
    entries = [entry(number, valued=True) for number in range(3)]
    queue = SpanQueue(entries[0].size * 2 + 10)
    gone = [each.number for item in entries for each in queue.append(item)[1]]
    assert gone == [0]


def test_a_bound_of_spans_counts_as_well() -> None:
    queue = SpanQueue(10**9, limit_spans=2)
    gone = [each.number for number in range(4) for each in queue.append(entry(number))[1]]
    assert gone == [0, 1]


def test_what_is_restored_is_first_in_line_again() -> None:
    queue = SpanQueue(10**9)
    for number in range(4):
        queue.append(entry(number, valued=number == 1))
    taken = [queue.take(), queue.take(), queue.take()]
    assert queue.restore(taken) == (0, [])
    assert numbers(queue) == [0, 1, 2, 3]


def test_taking_from_an_empty_queue_raises() -> None:
    with pytest.raises(IndexError):
        SpanQueue(1).take()


@given(
    st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=40),
    st.integers(1, 20_000),
)
def test_never_over_its_bound_and_nothing_vanishes_uncounted(
    steps: list[tuple[int, bool, bool]], limit: int
) -> None:
    queue = SpanQueue(limit)
    out, held = 0, []
    for number, (events, valued, take) in enumerate(steps):
        _, gone = queue.append(entry(number, chunk_events(events) if events else None, valued=valued))
        out += len(gone)
        if take and len(queue):
            held.append(queue.take())
        elif held:
            out += len(queue.restore([held.pop()])[1])
        assert queue.bytes <= limit
        assert len(queue) + len(held) + out == number + 1
    left = [queue.take() for _ in range(len(queue))]
    assert queue.bytes == queue.request_bytes == 0
    assert [each.number for each in left] == sorted(each.number for each in left)

"""The tally: marks may be cut anywhere, and every delta goes where it belongs."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._record.record import Detail, Ending
from firsttoken._think.tally import MAX_CAPTURED, MAX_STALLS, Tally
from firsttoken.decoders import (
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    ToolPlan,
    Undecoded,
    Usage,
)
from tests.scenes import MS, Paper, S, evenly, read_all


def cut(marks: list[Any], at: list[int]) -> list[list[Any]]:
    bounds = [0, *sorted(min(place, len(marks)) for place in at), len(marks)]
    return [marks[begin:end] for begin, end in pairwise(bounds)]


@given(
    count=st.integers(0, 30),
    held=st.booleans(),
    detail=st.sampled_from([Detail.ARRIVALS, Detail.FULL]),
    at=st.lists(st.integers(0, 90)),
)
def test_marks_may_be_cut_anywhere(count: int, held: bool, detail: Detail, at: list[int]) -> None:
    chunks = [(10 * index + 5, 10 * index + 7, (Text(str(index)),)) for index in range(count)]
    if held and chunks:
        chunks[-1] = (chunks[-1][0], None, chunks[-1][2])
    paper = Paper(chunks, detail=detail, capture=True)
    tally = Tally(paper.record(), S, capture=True)
    for piece in cut(paper.marks(), at):
        read_all(tally, piece)
    assert list(tally.arrivals) == [arrival for arrival, _, _ in chunks]
    resumes = [resume for _, resume, _ in chunks if resume is not None]
    assert list(tally.resumes) == (resumes if detail is Detail.FULL else [])
    assert tally.captured == [str(index) for index in range(count)]
    assert tally.content_count == count


@given(
    chunks=st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, S)), min_size=1, max_size=40),
    held=st.booleans(),
    at=st.lists(st.integers(0, 120)),
)
def test_the_hold_is_exact_wherever_the_marks_are_cut(
    chunks: list[tuple[int, int]], held: bool, at: list[int]
) -> None:
    now = 0
    written: list[Any] = []
    for gap_ns, hold_ns in chunks:
        written.append((now + gap_ns, now + gap_ns + hold_ns, (Text("x"),)))
        now += gap_ns + hold_ns
    if held:
        written[-1] = (written[-1][0], None, written[-1][2])
    paper = Paper(written)
    tally = Tally(paper.record(), S)
    for piece in cut(paper.marks(), at):
        read_all(tally, piece)
    holds = [0 if resume is None else resume - arrival for arrival, resume, _ in written]
    for index in range(len(written) + 1):
        assert tally.held_before_ns(index) == sum(holds[:index])


@given(
    steps=st.lists(st.tuples(st.integers(0, 3 * S // 2), st.booleans()), min_size=2, max_size=60),
    at=st.lists(st.integers(1, 60)),
)
def test_what_is_repeated_counts_like_what_is_read(steps: list[tuple[int, bool]], at: list[int]) -> None:
    read, repeated = Paper().tallied()[1], Paper().tallied()[1]
    times = list(accumulate(gap_ns for gap_ns, _ in steps))
    contents = [True, *(content for _, content in steps[1:])]
    for tally in (read, repeated):
        tally.take([mark for time_ns in times for mark in (time_ns, None, time_ns)])
        tally.read(0, (Text("x"),))
    begin = 1
    for index, content in enumerate(contents):
        if index and content:
            read.read(index, (Text("x"),))
        if not content or index in at:
            repeated.repeat(begin, index)
            if content:
                repeated.read(index, (Text("x"),))
            begin = index + 1
    repeated.repeat(begin, len(contents))
    for name in ("content_count", "last_content", "long_gap_count", "long_gaps"):
        assert getattr(read, name) == getattr(repeated, name)
    ranks = (0.0, 0.3, 0.5, 0.95, 1.0)
    assert read.gaps.percentiles(*ranks) == repeated.gaps.percentiles(*ranks)
    assert read.gaps.count == repeated.gaps.count


def test_each_kind_of_content_counts_and_nothing_else_does() -> None:
    content = [Text("a"), Reasoning("a"), Refusal("a"), ToolPlan("a"), ToolCall(0, arguments="{")]
    other = [Usage(input=1), Finish("stop"), Identity(id="x"), KeepAlive(), Undecoded("?"), Done("[DONE]")]
    for delta in content:
        _, tally = Paper(evenly(1, MS, (delta,))).tallied()
        assert (tally.content_count, tally.first_token) == (1, 0)
    for fact in other:
        _, tally = Paper(evenly(1, MS, (fact,))).tallied()
        assert (tally.content_count, tally.first_token) == (0, None)


def test_the_first_chunk_the_first_token_and_the_first_answer_are_told_apart() -> None:
    deltas: list[Any] = [
        (Identity(id="x"),),
        (Reasoning("hm"),),
        (Reasoning("hm"), Text("so")),
        (Text("!"),),
    ]
    chunks = [(MS * (index + 1), MS * (index + 1), delta) for index, delta in enumerate(deltas)]
    _, tally = Paper(chunks).tallied()
    assert (tally.first_token, tally.first_answer, tally.last_content) == (1, 2, 3)


def test_gaps_are_between_chunks_with_content() -> None:
    chunks: list[Any] = [
        (1 * S, 1 * S, (Text("a"),)),
        (2 * S, 2 * S, (KeepAlive(),)),
        (4 * S, 4 * S, (Text("b"),)),
    ]
    _, tally = Paper(chunks).tallied()
    assert (tally.gaps.count, tally.gaps.longest_ns) == (1, 3 * S)
    assert tally.long_gaps == [(0, 2)]


def test_a_gap_at_the_threshold_is_a_stall_and_one_below_is_none() -> None:
    for gap_ns, stalls in ((S, 1), (S - 1, 0)):
        _, tally = Paper([(1, 1, (Text("a"),)), (1 + gap_ns, 1 + gap_ns, (Text("b"),))]).tallied()
        assert len(tally.long_gaps) == stalls


def test_more_stalls_than_are_told_are_still_counted() -> None:
    _, tally = Paper(evenly(MAX_STALLS + 45, 2 * S)).tallied()
    assert len(tally.long_gaps) == MAX_STALLS
    assert tally.long_gap_count == MAX_STALLS + 44


def test_a_later_usage_replaces_field_by_field_and_never_adds() -> None:
    usages = [
        Usage(input=10, output=1, cache_read=3, input_excludes_cache=True),
        Usage(output=5),
        Usage(output=7, reasoning=2),
    ]
    _, tally = Paper([(index + 1, index + 1, (usage,)) for index, usage in enumerate(usages)]).tallied()
    usage = tally.usage
    assert (usage.input, usage.output, usage.cache_read, usage.reasoning) == (10, 7, 3, 2)
    assert usage.input_excludes_cache
    assert usage.cache_creation is None


def test_of_identity_error_and_done_the_first_counts() -> None:
    deltas: list[Any] = [
        (Identity(model="m1"), Done("one"), StreamError(type="first")),
        (Identity(id="i2", model="m2"), Done("two"), StreamError(type="second")),
    ]
    _, tally = Paper([(index + 1, index + 1, delta) for index, delta in enumerate(deltas)]).tallied()
    assert (tally.identity.id, tally.identity.model) == ("i2", "m1")
    assert (tally.done, tally.done_index, tally.done_ns) == ("one", 0, 1)
    assert tally.error is not None
    assert tally.error.type == "first"


def test_a_done_of_a_chunk_that_never_came_is_no_done() -> None:
    _, tally = Paper().tallied()
    tally.note_done(0, "[DONE]")
    assert tally.done is None


def test_undecoded_chunks_are_counted() -> None:
    _, tally = Paper(evenly(3, MS, (Undecoded("?"),))).tallied()
    assert tally.undecoded_count == 3


@pytest.mark.parametrize(
    ("deltas", "said"),
    [
        ((Done("[DONE]"),), True),
        ((Text("a"), Finish("stop")), True),
        ((Text("a"), Text("b", choice=1), Finish("stop")), False),
        ((Text("a"), Text("b", choice=1), Finish("stop"), Finish("length", choice=1)), True),
        ((Text("a"),), False),
        ((), False),
    ],
)
def test_a_stream_said_its_end_by_a_done_event_or_a_finish_of_every_choice(deltas: Any, said: bool) -> None:
    _, tally = Paper(evenly(1, MS, deltas)).tallied()
    assert tally.said_end is said


def test_captured_text_stops_growing() -> None:
    half = "x" * (MAX_CAPTURED // 2)
    _, tally = Paper(evenly(4, MS, (Text(half),)), capture=True).tallied()
    assert tally.captured == [half, half, "", ""]


def test_text_is_kept_only_where_asked() -> None:
    _, tally = Paper(evenly(2, MS)).tallied()
    assert tally.captured is None


def test_tool_arguments_are_no_captured_text() -> None:
    _, tally = Paper(evenly(1, MS, (ToolCall(0, arguments="{secret"), Text("a"))), capture=True).tallied()
    assert tally.captured == ["a"]


@pytest.mark.parametrize(
    ("ending", "ended_ns", "expected"),
    [
        (Ending.EXHAUSTED, 9 * S, 9 * S),
        (Ending.RAISED, 9 * S, 9 * S),
        (Ending.CANCELLED, 9 * S, 9 * S),
        (Ending.CLOSED, 9 * S, 3 * S),
        (None, None, 3 * S),
    ],
)
def test_the_end_is_the_last_mark_and_never_the_clean_up(
    ending: Ending | None, ended_ns: int | None, expected: int
) -> None:
    chunks = [(1 * S, 2 * S, (Text("a"),)), (3 * S, None, (Text("b"),))]
    _, tally = Paper(chunks, ending=ending, ended_ns=ended_ns).tallied()
    assert tally.ended_ns == expected


def test_the_done_event_is_the_end_whatever_comes_after() -> None:
    chunks: list[Any] = [(1 * S, 1 * S, (Done("[DONE]"),)), (5 * S, 5 * S, ())]
    _, tally = Paper(chunks, ended_ns=9 * S).tallied()
    assert tally.ended_ns == 1 * S


def test_hold_before_a_chunk_is_late_start_plus_what_the_consumer_kept() -> None:
    chunks = [(10, 14, (Text("a"),)), (20, 27, (Text("b"),)), (40, None, (Text("c"),))]
    _, tally = Paper(chunks, ready_ns=2, pulled_ns=5).tallied()
    assert [tally.held_before_ns(index) for index in range(4)] == [3, 7, 14, 14]


def test_what_is_no_delta_is_counted_as_undecoded() -> None:
    _, tally = Paper(evenly(1, MS, ("just text",))).tallied()  # type: ignore[arg-type]
    assert tally.undecoded_count == 1

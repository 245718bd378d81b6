"""Attribution: wait, hold and blocked loop always sum to the whole, of a gap and of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._record.record import Detail, Ending
from firsttoken._think.attribution import (
    Stall,
    StallCause,
    Stretch,
    cause_of,
    split,
    stalls,
    stretches,
    totals,
)
from firsttoken._think.blame import THREAD_POOL, Claim, Layer
from firsttoken._think.loop_blocks import overlap
from firsttoken.decoders import Done, Finish, KeepAlive, Text
from tests.scenes import Paper, S


@dataclass(frozen=True)
class Block:
    started_ns: int
    ended_ns: int
    file: str | None = "app.py"
    line: int | None = 7
    function: str | None = "save_log"
    kind: str = "io"
    other_thread: str | None = None
    stack: tuple[str, ...] = ()


@st.composite
def papers(draw: st.DrawFn) -> Paper:
    """Any stream: steps between its marks are long, short or none; it may end anywhere."""
    steps = st.integers(0, 50) | st.just(0)
    issued = draw(st.integers(0, 100))
    ready = issued + draw(steps)
    pulled = ready + draw(steps)
    now, chunks = pulled, []
    content: Any = st.sampled_from([(Text("x"),), (Text("x"),), (KeepAlive(),), (Done("end"),)])
    for _ in range(draw(st.integers(0, 12))):
        arrival = now + draw(steps)
        now = arrival + draw(steps)
        chunks.append((arrival, now, draw(content)))
    ending = draw(st.sampled_from([*Ending, None]))
    if chunks and ending in (Ending.CLOSED, Ending.CANCELLED, None) and draw(st.booleans()):
        chunks[-1] = (chunks[-1][0], None, chunks[-1][2])
        now = chunks[-1][0]
    return Paper(
        chunks,
        issued_ns=issued,
        ready_ns=ready,
        pulled_ns=pulled,
        ending=ending,
        ended_ns=now + draw(steps),
        detail=draw(st.sampled_from([Detail.FULL, Detail.ARRIVALS])),
        stall_threshold_ns=draw(st.integers(1, 60)),
    )


@st.composite
def blocks_of_a_loop(draw: st.DrawFn) -> list[Block]:
    """Blocks of one loop: in order, without overlap."""
    now, blocks = 0, []
    for _ in range(draw(st.integers(0, 6))):
        begin = now + draw(st.integers(0, 120))
        now = begin + draw(st.integers(1, 120))
        blocks.append(Block(begin, now))
    return blocks


@given(papers(), blocks_of_a_loop())
def test_the_whole_is_wait_and_hold_and_blocked(paper: Paper, blocks: list[Block]) -> None:
    record, tally = paper.tallied()
    wait, hold, blocked = totals(record, tally, blocks)
    assert min(wait, hold, blocked) >= 0
    assert wait + hold + blocked == tally.ended_ns - record.issued_ns
    whole = Block(record.issued_ns, tally.ended_ns)
    assert blocked == sum(overlap(whole.started_ns, whole.ended_ns, block) for block in blocks)


@given(papers(), blocks_of_a_loop())
def test_every_stall_is_wait_and_hold_and_blocked(paper: Paper, blocks: list[Block]) -> None:
    record, tally = paper.tallied()
    for stall in stalls(record, tally, blocks):
        assert stall.duration_ns >= tally.stall_threshold_ns
        assert min(stall.wait_ns, stall.hold_ns, stall.loop_blocked_ns) >= 0
        assert stall.wait_ns + stall.hold_ns + stall.loop_blocked_ns == stall.duration_ns
        assert sum(share.duration_ns for share in stall.shares) == stall.duration_ns
        assert 0 < stall.share <= 1


@given(papers())
def test_stretches_follow_one_another_from_issue_to_end(paper: Paper) -> None:
    record, tally = paper.tallied()
    last = len(tally.arrivals)
    if tally.done_index is not None:
        last = tally.done_index
    found = list(stretches(record, tally, -1, last))
    assert found[0].begin_ns == record.issued_ns
    assert all(one.end_ns == other.begin_ns for one, other in pairwise(found))
    assert found[-1].end_ns == tally.ended_ns


def test_a_blocked_loop_is_taken_out_of_wait_and_of_hold() -> None:
    parts = [Stretch(0, 10, held=False), Stretch(10, 20, held=True)]
    assert split(parts, [Block(5, 12)]) == (5, 8, 7)
    assert split(parts, []) == (10, 10, 0)


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ((3, 2, 1), StallCause.PROVIDER),
        ((2, 3, 1), StallCause.CONSUMER),
        ((1, 2, 3), StallCause.EVENT_LOOP),
        ((2, 2, 0), StallCause.CONSUMER),
        ((2, 0, 2), StallCause.EVENT_LOOP),
        ((0, 2, 2), StallCause.EVENT_LOOP),
    ],
)
def test_the_longest_part_is_the_cause_and_on_a_tie_the_one_the_user_can_mend(
    parts: tuple[int, int, int], cause: StallCause
) -> None:
    assert cause_of(*parts) is cause
    assert str(cause) == cause.value


def stalls_of(paper: Paper, *blocks: Block) -> tuple[Stall, ...]:
    record, tally = paper.tallied()
    record.wall_offset_ns = 1_000_000 * S
    return stalls(record, tally, blocks)


def test_a_slow_source_is_the_provider() -> None:
    (stall,) = stalls_of(Paper([(S, S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))]))
    assert (stall.cause, stall.sequence, stall.wait_ns) == (StallCause.PROVIDER, 1, 3 * S)
    assert stall.started_ns == 1_000_001 * S
    assert (stall.file, stall.line, stall.function) == (None, None, None)


def test_a_slow_consumer_is_the_consumer() -> None:
    (stall,) = stalls_of(Paper([(S, 3 * S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))]))
    assert (stall.cause, stall.hold_ns, stall.wait_ns) == (StallCause.CONSUMER, 2 * S, S)


def test_a_blocked_loop_is_named_by_its_longest_block() -> None:
    short, long = Block(S, S + 10, function="other"), Block(2 * S, 4 * S, kind="cpu", other_thread="w")
    (stall,) = stalls_of(Paper([(S, S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))]), short, long)
    assert stall.cause is StallCause.EVENT_LOOP
    assert (stall.file, stall.line, stall.function) == ("app.py", 7, "save_log")
    assert (stall.kind, stall.thread) == ("cpu", "w")
    assert stall.share == pytest.approx(2 / 3)


def test_many_short_blocks_at_one_line_outweigh_a_longer_one_at_another() -> None:
    many = [Block(S + n * S // 4, S + n * S // 4 + S // 5, line=9) for n in range(8)]
    once = Block(3 * S + S // 10, 3 * S + S // 10 + S // 2)
    (stall,) = stalls_of(Paper([(S, S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))]), *many, once)
    assert stall.cause is StallCause.EVENT_LOOP
    assert stall.line == 9


def test_a_blocked_loop_is_not_blamed_where_the_provider_was_slower() -> None:
    (stall,) = stalls_of(Paper([(S, S, (Text("a"),)), (9 * S, 9 * S, (Text("b"),))]), Block(2 * S, 4 * S))
    assert (stall.cause, stall.loop_blocked_ns, stall.file) == (StallCause.PROVIDER, 2 * S, None)


def test_the_gap_a_stream_died_in_is_a_stall() -> None:
    (stall,) = stalls_of(Paper([(S, S, (Text("a"),))], ending=Ending.CANCELLED, ended_ns=6 * S))
    assert (stall.sequence, stall.duration_ns, stall.cause) == (1, 5 * S, StallCause.PROVIDER)


@pytest.mark.parametrize("end", [Done("[DONE]"), Finish("stop")])
def test_time_after_the_stream_said_its_end_is_no_stall(end: Any) -> None:
    assert stalls_of(Paper([(S, S, (Text("a"), end))], ended_ns=60 * S)) == ()


def test_time_before_the_first_token_is_no_stall() -> None:
    assert stalls_of(Paper([(60 * S, 60 * S, (Text("a"),))])) == ()
    assert stalls_of(Paper([(60 * S, 60 * S, (Text("a"),))], pulled_ns=50 * S)) == ()


def test_time_before_the_first_token_is_a_stall_where_the_loop_was_blocked() -> None:
    (stall,) = stalls_of(Paper([(12 * S, 12 * S, (Text("a"),))]), Block(S, 12 * S))
    assert (stall.cause, stall.sequence, stall.function) == (StallCause.EVENT_LOOP, 0, "save_log")
    assert (stall.duration_ns, stall.loop_blocked_ns) == (12 * S, 11 * S)
    assert stall.started_ns == 1_000_000 * S


def test_a_model_that_thinks_longer_than_the_loop_is_blocked_has_no_stall() -> None:
    assert stalls_of(Paper([(12 * S, 12 * S, (Text("a"),))]), Block(S, 6 * S)) == ()


def test_a_stream_that_died_waiting_for_its_first_token_was_stalled_by_the_loop() -> None:
    (stall,) = stalls_of(Paper(ending=Ending.CANCELLED, ended_ns=12 * S), Block(S, 11 * S))
    assert (stall.cause, stall.sequence, stall.duration_ns) == (StallCause.EVENT_LOOP, 0, 12 * S)


def test_a_first_token_that_waited_for_a_worker_thread_is_a_stall() -> None:
    record, tally = Paper([(5 * S, 5 * S, (Text("a"),))]).tallied()

    def layer(begin_ns: int, end_ns: int) -> Layer:
        waited = Claim(S, 5 * S, THREAD_POOL, "look up")
        return Layer("stage", "stage", [(begin_ns, end_ns)], known=[waited])

    (stall,) = stalls(record, tally, [], layer)
    assert (stall.cause, stall.origin, stall.share) == (StallCause.THREAD_POOL, "look up", 0.8)


def test_without_hold_marks_all_is_wait() -> None:
    paper = Paper([(S, None, (Text("a"),)), (4 * S, None, (Text("b"),))], detail=Detail.ARRIVALS)
    (stall,) = stalls_of(paper)
    assert (stall.wait_ns, stall.hold_ns) == (3 * S, 0)

"""What one stream felt of the blocks of its event loop: how many, how much, and at which line most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firsttoken._think.loop_blocks import MAX_BLOCKS, LoopBlocks, felt, overlap, worst
from tests.scenes import MS, S
from tests.think.test_attribution import Block, blocks_of_a_loop


def test_without_blocks_there_is_nothing_to_tell() -> None:
    assert felt([], 0, S, 0) == LoopBlocks()
    assert felt([Block(2 * S, 3 * S)], 0, S, 0) == LoopBlocks()
    assert worst([], 0, S) == (None, 0)


def test_a_block_counts_for_as_long_as_it_lay_in_the_stream() -> None:
    block = Block(S, 3 * S, kind="cpu", other_thread="worker", stack=("app.py:1 main", "app.py:7 save_log"))
    told = felt([block], 2 * S, 9 * S, 100 * S)
    assert (told.count, told.culprit, told.culprit_ns) == (1, "app.py:7 save_log", S)
    (one,) = told.felt
    assert (one.started_ns, one.duration_ns, one.cost_ns) == (102 * S, 2 * S, S)
    assert (one.file, one.line, one.function, one.kind, one.thread) == (
        "app.py", 7, "save_log", "cpu", "worker",
    )  # fmt: skip
    assert one.stack == block.stack


def test_the_culprit_is_the_line_that_cost_most_in_all_its_blocks() -> None:
    often = [Block(n * S, n * S + 300 * MS, line=9) for n in range(4)]
    told = felt([*often, Block(5 * S, 6 * S)], 0, 9 * S, 0)
    assert (told.culprit, told.culprit_ns) == ("app.py:9 save_log", 1200 * MS)


def test_a_culprit_that_nobody_knows_is_not_named() -> None:
    unknown = Block(S, 3 * S, file=None, line=None, function=None)
    told = felt([unknown], 0, 9 * S, 0)
    assert (told.count, told.culprit, told.culprit_ns) == (1, None, 0)


@given(blocks_of_a_loop(), st.integers(0, 500), st.integers(0, 500))
def test_what_is_told_is_in_order_and_sums_to_what_overlaps(
    blocks: list[Block], begin_ns: int, lasted_ns: int
) -> None:
    end_ns = begin_ns + lasted_ns
    told = felt(blocks, begin_ns, end_ns, 0)
    assert sum(one.cost_ns for one in told.felt) == sum(overlap(begin_ns, end_ns, b) for b in blocks)
    assert [one.started_ns for one in told.felt] == sorted(one.started_ns for one in told.felt)
    assert told.count == len(told.felt)


def test_of_very_many_the_costliest_are_told_and_the_stack_of_one() -> None:
    blocks = [Block(n * S, n * S + (n + 1) * MS, stack=("s",)) for n in range(3 * MAX_BLOCKS)]
    told = felt(blocks, 0, 1000 * S, 0)
    assert told.count == 3 * MAX_BLOCKS
    assert [one.started_ns for one in told.felt] == [b.started_ns for b in blocks[-MAX_BLOCKS:]]
    assert [one.stack for one in told.felt] == [()] * (MAX_BLOCKS - 1) + [("s",)]

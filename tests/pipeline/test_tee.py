"""tee: consumers at different speeds, ones that leave, and what happens when a branch is full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from firsttoken import ConfigError
from firsttoken.pipeline import tee
from firsttoken.testing import ScriptedSource, SourceError
from tests.conftest import Traces
from tests.pipeline.conftest import no_task_left

pytestmark = pytest.mark.anyio


async def numbers(end: int, pulled: list[int] | None = None) -> AsyncIterator[int]:
    for number in range(end):
        if pulled is not None:
            pulled.append(number)
        yield number


@pytest.mark.parametrize("size", [1, 3, 64])
async def test_consumers_at_different_speeds_all_get_everything(size: int) -> None:
    seen: dict[int, list[int]] = {1: [], 2: [], 5: []}

    async def consume(branch: Any, turns: int) -> None:
        async for item in branch:
            seen[turns].append(item)
            for _ in range(turns):
                await checkpoint()

    made = tee(numbers(300), 3, size=size)
    async with no_task_left(), made as branches, anyio.create_task_group() as tasks:
        for branch, turns in zip(branches, seen, strict=True):
            tasks.start_soon(consume, branch, turns)
    assert list(seen.values()) == [list(range(300))] * 3


async def test_the_slowest_branch_sets_the_pace_and_is_bounded() -> None:
    pulled: list[int] = []
    async with tee(numbers(100, pulled), 2, size=3) as (fast, slow):
        assert [await anext(fast) for _ in range(4)] == [0, 1, 2, 3]
        await anyio.wait_all_tasks_blocked()
        # Three are kept for the slow one, the fourth waits, and the fast one has it already.
        assert pulled == [0, 1, 2, 3]
        assert await anext(slow) == 0
        await anyio.wait_all_tasks_blocked()
        assert pulled == [0, 1, 2, 3, 4]


async def test_a_full_branch_drops_for_itself_alone_and_counts(traces: Traces) -> None:
    dropping = tee(numbers(10), 2, size=3, when_full="drop", tracer_provider=traces.provider)
    async with dropping as (fast, slow):
        assert [item async for item in fast] == list(range(10))
        assert [item async for item in slow] == [0, 1, 2]
    told = traces.span().attributes
    assert told["firsttoken.pipeline.branch.drop_counts"] == (0, 7)
    assert told["firsttoken.pipeline.branch.item_counts"] == (10, 3)
    assert told["firsttoken.pipeline.branch.depth_maxima"][1] == 3
    assert told["firsttoken.pipeline.drop.count"] == 7
    assert told["firsttoken.outcome"] == "completed"


@pytest.mark.parametrize("leave", ["break", "aclose"])
async def test_who_leaves_a_branch_holds_up_nobody(leave: str) -> None:
    async with no_task_left(), tee(numbers(50), 2, size=2) as (gone, stays):
        if leave == "break":
            async for _ in gone:
                break
        else:
            await gone.aclose()
        assert [item async for item in stays] == list(range(50))


async def test_who_leaves_a_branch_that_others_wait_for_frees_them() -> None:
    seen: list[int] = []

    async def consume(branch: Any) -> None:
        async for item in branch:
            seen.append(item)

    async with tee(numbers(50), 2, size=2) as (slow, fast), anyio.create_task_group() as tasks:
        tasks.start_soon(consume, fast)
        await anyio.wait_all_tasks_blocked()
        assert len(seen) < 50
        await slow.aclose()
    assert seen == list(range(50))


async def test_a_branch_that_several_tasks_share_is_left_by_the_last() -> None:
    async with tee(numbers(10), 1) as (branch,):
        first, second = aiter(branch), aiter(branch)
        assert await anext(first) == 0
        del first
        assert await anext(second) == 1
        assert [item async for item in second] == list(range(2, 10))


async def test_the_last_to_leave_stops_the_source() -> None:
    source = ScriptedSource(tuple(range(100)), "hang")
    async with tee(source.as_async_generator(), 2, size=1) as (one, other):
        assert await anext(one) == 0
        await one.aclose()
        await anyio.wait_all_tasks_blocked()
        assert not source.closed
        await other.aclose()
        await anyio.wait_all_tasks_blocked()
        assert source.closed


@pytest.mark.parametrize("when_full", ["wait", "drop"])
async def test_an_error_of_the_source_reaches_every_branch(when_full: Any) -> None:
    failed: list[int] = []

    async def consume(number: int, branch: Any) -> None:
        try:
            async for _ in branch:
                await checkpoint()
        except SourceError:
            failed.append(number)

    source = ScriptedSource(then="raise").as_async_generator()
    made = tee(source, 3, size=1, when_full=when_full)
    async with no_task_left(), made as branches, anyio.create_task_group() as tasks:
        for number, branch in enumerate(branches):
            tasks.start_soon(consume, number, branch)
    assert sorted(failed) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n": 0}, ConfigError),
        ({"n": "2"}, TypeError),
        ({"size": 0}, ConfigError),
        ({"when_full": "block"}, ConfigError),
    ],
)
def test_bad_arguments_are_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        tee([], **options)

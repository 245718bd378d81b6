"""merge: whose items come, whose errors, and what is told of each source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from firsttoken.pipeline import merge
from firsttoken.testing import ScriptedSource, SourceError
from tests.conftest import Traces
from tests.pipeline.conftest import no_task_left

pytestmark = pytest.mark.anyio


async def numbers(begin: int, end: int) -> AsyncIterator[int]:
    for number in range(begin, end):
        yield number


async def test_every_item_of_every_source_comes_once_and_each_source_in_order() -> None:
    async with (
        no_task_left(),
        merge(numbers(0, 200), numbers(1000, 1300), iter(range(2000, 2010))) as stream,
    ):
        seen = [item async for item in stream]
    assert [item for item in seen if item < 1000] == list(range(200))
    assert [item for item in seen if 1000 <= item < 2000] == list(range(1000, 1300))
    assert [item for item in seen if item >= 2000] == list(range(2000, 2010))


async def test_named_sources_give_pairs(traces: Traces) -> None:
    async with merge(left=[1, 2], right=[3], tracer_provider=traces.provider) as stream:
        seen = [pair async for pair in stream]
    assert sorted(seen) == [("left", 1), ("left", 2), ("right", 3)]
    told = traces.span().attributes
    assert told["firsttoken.pipeline.source.names"] == ("left", "right")
    assert told["firsttoken.pipeline.source.item_counts"] == (2, 1)
    assert len(told["firsttoken.pipeline.source.put_waits"]) == 2


async def test_a_source_that_has_something_is_not_kept_waiting_by_one_that_has_not() -> None:
    async with merge(ScriptedSource((), "hang").as_async_generator(), numbers(0, 50)) as stream:
        assert [await anext(stream) for _ in range(50)] == list(range(50))


async def test_a_fast_source_does_not_lock_a_slow_one_out() -> None:
    async with merge(numbers(0, 1000), numbers(1000, 1003)) as stream:
        seen = [await anext(stream) for _ in range(20)]
    assert set(seen) >= {1000, 1001, 1002}


async def test_an_error_stops_the_other_sources_and_comes_after_what_is_there() -> None:
    other = ScriptedSource(("x",), "hang")

    async def failing() -> AsyncIterator[str]:
        await other.hanging.wait()
        yield "a"
        raise SourceError

    async with no_task_left(), merge(other.as_async_generator(), failing()) as stream:
        assert [await anext(stream), await anext(stream)] == ["x", "a"]
        with pytest.raises(SourceError):
            await anext(stream)
        await anyio.wait_all_tasks_blocked()
        assert other.closed


@pytest.mark.parametrize(
    ("sources", "named"), [((), {}), (([],), {"more": []}), ((1,), {}), ((), {"text": "abc"})]
)
def test_bad_arguments_are_refused_at_once(sources: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        merge(*sources, **named)

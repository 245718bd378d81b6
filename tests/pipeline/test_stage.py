"""stage: three kinds of functions, what they are closed with, and what is told."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from firsttoken.pipeline import buffer, merge, stage
from firsttoken.testing import ScriptedSource
from tests.conftest import Traces
from tests.pipeline.conftest import no_task_left

pytestmark = pytest.mark.anyio


@stage
async def pairs(items: AsyncIterator[str], joint: str = "") -> AsyncIterator[str]:
    """Join items two by two."""
    last = None
    async for item in items:
        if last is None:
            last = item
        else:
            yield last + joint + item
            last = None


async def letters() -> AsyncIterator[str]:
    for letter in "abcdef":
        yield letter


async def test_a_stage_transforms_with_and_without_a_block() -> None:
    assert [pair async for pair in pairs(letters())] == ["ab", "cd", "ef"]
    async with pairs(letters(), joint="-") as stream:
        assert [pair async for pair in stream] == ["a-b", "c-d", "e-f"]


async def test_functions_of_an_item_run_on_the_loop_or_in_a_thread() -> None:
    threads: set[int] = set()

    @stage
    async def upper(item: str) -> str:
        threads.add(threading.get_ident())
        return item.upper()

    @stage(name="twice")
    def double(item: str, times: int) -> str:
        threads.add(threading.get_ident())
        return item * times

    async with double(upper(letters()), 2) as stream:
        assert [item async for item in stream] == ["AA", "BB", "CC", "DD", "EE", "FF"]
    assert len(threads) >= 2


async def test_a_method_may_be_a_stage() -> None:
    class Enricher:
        mark = "!"

        @stage
        async def enrich(self, items: AsyncIterator[str]) -> AsyncIterator[str]:
            async for item in items:
                yield item + self.mark

    assert [item async for item in Enricher().enrich(letters())][:2] == ["a!", "b!"]


@pytest.mark.parametrize("pulls", [0, 1])
async def test_leaving_the_block_closes_the_whole_chain(pulls: int) -> None:
    source = ScriptedSource(then="hang")
    async with no_task_left(), pairs(pairs(source.as_async_iterator())) as stream:
        for _ in range(pulls):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(stream)
    assert source.closed


async def test_an_operator_may_feed_a_stage_and_a_stage_an_operator(traces: Traces) -> None:
    joined = stage(name="joined", tracer_provider=traces.provider)(pairs.__wrapped__)
    merged = merge(letters(), tracer_provider=traces.provider)
    async with no_task_left(), joined(buffer(pairs(merged), 4, tracer_provider=traces.provider)) as stream:
        assert await anext(stream) == "abcd"
    spans = {span.name: span for span in traces.spans()}
    assert set(spans) == {"joined", "buffer", "merge"}
    assert spans["joined"].attributes["firsttoken.pipeline.operator"] == "stage"
    assert spans["joined"].attributes["gen_ai.operation.name"] == "stage"


async def test_an_awaitable_may_feed_a_stage() -> None:
    async def ask() -> AsyncIterator[str]:
        return letters()

    async with pairs(ask()) as stream:
        assert [pair async for pair in stream] == ["ab", "cd", "ef"]


async def test_a_stage_whose_source_must_be_opened_says_so() -> None:
    with pytest.raises(TypeError, match="enter the stage with `async with`"):
        await anext(pairs(buffer(letters())))


async def test_what_a_stage_is_is_told_like_any_stream(traces: Traces) -> None:
    @stage(name="every second", tracer_provider=traces.provider)
    async def second(items: AsyncIterator[str]) -> AsyncIterator[str]:
        async for _ in items:
            yield await anext(items)

    async with second(letters()) as stream:
        assert [item async for item in stream] == ["b", "d", "f"]
        assert stream.summary is not None
        assert stream.summary.outcome == "completed"
    span = traces.span()
    assert span.name == "every second"
    assert span.kind.name == "INTERNAL"
    assert span.attributes["firsttoken.chunk.count"] == 3


def test_a_generator_function_is_refused() -> None:
    def lines(words: Iterator[str]) -> Iterator[str]:
        yield from words

    with pytest.raises(TypeError, match="stage decorates"):
        stage(lines)


@pytest.mark.parametrize("arguments", [(), ([1, 2],), ("text",)])
def test_what_is_no_async_stream_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="takes a stream first"):
        pairs(*arguments)


def test_a_bad_limiter_is_refused_at_the_decorator() -> None:
    with pytest.raises(TypeError, match="limiter"):
        stage(limiter=3)(len)  # type: ignore[call-overload]

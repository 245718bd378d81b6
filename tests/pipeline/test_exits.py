"""However a consumer leaves an operator: the source is closed, no task is left, and its span says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from firsttoken.pipeline import buffer, merge, stage, tee
from firsttoken.testing import EXITS, SOURCES, Exit, ScriptedSource, check_stream_wrapper, settle
from tests.conftest import Traces
from tests.pipeline.conftest import no_task_left

# trio says so of every async generator that is dropped unfinished, ours or not.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning"),
]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "buffer": lambda source, provider: buffer(source, 2, tracer_provider=provider),
    "buffer of one": lambda source, provider: buffer(source, 1, tracer_provider=provider),
    "merge": lambda source, provider: merge(source, tracer_provider=provider),
    "tee": lambda source, provider: tee(source, 1, tracer_provider=provider),
    "nested": lambda source, provider: buffer(buffer(source), tracer_provider=provider),
}
CASES = [
    pytest.param(kind, leaving, id=f"{kind}, {leaving.name}")
    for kind in SOURCES
    for leaving in EXITS
    if not (kind == "generator" and leaving.needs_async)
]


def only(entered: Any) -> Any:
    return entered[0] if isinstance(entered, tuple) else entered


@pytest.mark.parametrize(("kind", "leaving"), CASES)
@pytest.mark.parametrize("operator", OPERATORS)
async def test_every_exit_closes_the_source_and_is_told(
    operator: str, kind: str, leaving: Exit, traces: Traces
) -> None:
    source = ScriptedSource(then=leaving.then)
    async with no_task_left():
        async with OPERATORS[operator](SOURCES[kind](source), traces.provider) as entered:
            await leaving.leave(only(entered), source)
        assert source.closed or not leaving.closes
    told = [span.attributes["firsttoken.outcome"] for span in traces.spans()]
    # The operator sees the pull that is cancelled, not what is done to a consumer in another task.
    holding = leaving.name == "cancelled while the consumer holds"
    expected = "abandoned" if holding else leaving.outcome
    assert told == ([] if expected is None else [expected])


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("where", ["waits", "holds"])
async def test_cancelling_the_task_that_entered_is_told_as_cancelled(
    operator: str, where: str, traces: Traces
) -> None:
    source = ScriptedSource(then="hang")
    holding = anyio.Event()

    async def consume() -> None:
        async with OPERATORS[operator](source.as_async_generator(), traces.provider) as entered:
            async for _ in only(entered):
                if where == "holds":
                    holding.set()
                    await anyio.sleep_forever()

    async with no_task_left(), anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await (holding if where == "holds" else source.hanging).wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert source.closed
    assert traces.span().attributes["firsttoken.outcome"] == "cancelled"


@pytest.mark.parametrize("operator", OPERATORS)
async def test_a_stream_that_is_dropped_stops_its_source_while_the_block_goes_on(operator: str) -> None:
    source = ScriptedSource(then="hang")
    async with OPERATORS[operator](source.as_async_generator(), None) as entered:
        stream = only(entered)
        del entered
        assert await anext(stream) == "a"
        del stream
        await settle()
        await anyio.wait_all_tasks_blocked()
        assert source.closed


@pytest.mark.parametrize("operator", OPERATORS)
async def test_a_closed_stream_is_at_its_end(operator: str) -> None:
    source = ScriptedSource(then="hang")
    async with OPERATORS[operator](source.as_async_generator(), None) as entered:
        stream = only(entered)
        assert await anext(stream) == "a"
        await stream.aclose()
        await stream.aclose()
        assert [chunk async for chunk in stream] == []
        await anyio.wait_all_tasks_blocked()
        assert source.closed


@pytest.mark.parametrize("operator", OPERATORS)
async def test_who_still_reads_when_the_block_is_left_learns_that_it_was_cut(operator: str) -> None:
    source = ScriptedSource(then="hang")
    seen: list[str] = []

    async def consume(stream: Any) -> None:
        try:
            async for chunk in stream:
                seen.append(chunk)
        except anyio.ClosedResourceError:
            seen.append("cut")

    async with no_task_left(), anyio.create_task_group() as tasks:
        operated = OPERATORS[operator](source.as_async_generator(), None)
        async with operated as entered:
            tasks.start_soon(consume, only(entered))
            await source.hanging.wait()
            await anyio.wait_all_tasks_blocked()
    assert seen == ["a", "b", "c", "cut"]


@pytest.mark.parametrize("operator", OPERATORS)
async def test_an_error_of_the_body_comes_out_as_it_is(operator: str) -> None:
    class Mine(Exception):
        pass

    source = ScriptedSource(then="hang")

    async def consume() -> None:
        async with OPERATORS[operator](source.as_async_generator(), None) as entered:
            async for _ in only(entered):
                raise Mine

    with pytest.raises(Mine):
        await consume()
    assert source.closed


@pytest.mark.parametrize("operator", OPERATORS)
async def test_a_source_that_was_never_pulled_is_closed_unstarted(operator: str) -> None:
    source = ScriptedSource()
    async with OPERATORS[operator](source.as_async_iterator(), None):
        await anyio.wait_all_tasks_blocked()
        assert not source.started
    assert not source.started
    # The inner of two nested operators was never entered: it owns nothing yet.
    assert source.closed or operator == "nested"


@pytest.mark.parametrize("operator", OPERATORS)
async def test_an_operator_is_entered_once(operator: str) -> None:
    twice = OPERATORS[operator](ScriptedSource().as_async_generator(), None)
    async with twice:
        pass
    with pytest.raises(RuntimeError, match="can be entered once"):
        await twice.__aenter__()


async def test_a_stage_keeps_the_contract_of_stream_wrappers() -> None:
    @stage
    async def same(source: Any) -> Any:
        async for item in source:
            yield item

    @stage
    async def each(item: Any) -> Any:
        return item

    def asynchronous(wrap: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # A stage takes async sources; what is sync goes the contract's way untouched.
        return lambda source: wrap(source) if hasattr(source, "__aiter__") else source

    await check_stream_wrapper(asynchronous(same))
    await check_stream_wrapper(asynchronous(each))

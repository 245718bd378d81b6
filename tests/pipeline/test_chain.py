"""Streams that feed streams: a stall is blamed on the innermost of them, and its shares sum to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

import firsttoken
from firsttoken.pipeline import buffer, stage, tee
from tests.conftest import Traces
from tests.pipeline.conftest import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in ("_record.record", "_record.iterate"):
        monkeypatch.setattr(f"firsttoken.{module}.monotonic_ns", made)
    for module in ("_channel", "_operator", "_putter", "_threads"):
        monkeypatch.setattr(f"firsttoken.pipeline.{module}.monotonic_ns", made)
    return made


class Pipeline:
    """A call, a stage and a consumer, each of which takes as long as it is told for the second item."""

    def __init__(self, clock: Clock, traces: Traces, **slow: float) -> None:
        self._clock = clock
        self._slow = slow
        self._provider = traces.provider

    async def _spend(self, who: str, item: str) -> None:
        if item == "b" and who in self._slow:
            # Time passes when nobody else has anything to do.
            await anyio.wait_all_tasks_blocked()
            self._clock.advance(self._slow[who])

    def call(self) -> Any:
        async def tokens() -> AsyncIterator[str]:
            for item in "abc":
                await self._spend("provider", item)
                yield item

        return firsttoken.trace_stream(tokens(), model="m", tracer_provider=self._provider)

    def stage(self, source: Any) -> Any:
        @stage(name="step", tracer_provider=self._provider)
        async def step(items: AsyncIterator[str]) -> AsyncIterator[str]:
            async for item in items:
                await self._spend("stage", item)
                yield item

        return step(source)

    async def read(self, stream: Any) -> None:
        async with stream as items:
            async for item in items:
                if item == "a":
                    self._clock.advance(self._slow.get("consumer", 0.0))


def stall_of(traces: Traces, name: str) -> Any:
    span = next(span for span in traces.spans() if span.name == name)
    (stall,) = [event.attributes for event in span.events if event.name == "firsttoken.stall"]
    return stall["firsttoken.stall.cause"], stall.get("firsttoken.stall.origin")


@pytest.mark.parametrize(
    ("slow", "blamed", "between"),
    [
        ({"provider": 3.0, "stage": 1.0}, ("provider", "chat m"), False),
        ({"provider": 3.0, "stage": 1.0}, ("provider", "chat m"), True),
        ({"provider": 1.0, "stage": 3.0}, ("stage", "step"), False),
        ({"provider": 1.0, "stage": 3.0}, ("stage", "step"), True),
        ({"provider": 1.0, "stage": 1.0, "consumer": 3.0}, ("consumer", "step"), False),
    ],
)
async def test_the_innermost_is_blamed(
    slow: dict[str, float], blamed: tuple[str, str], between: bool, clock: Clock, traces: Traces
) -> None:
    pipeline = Pipeline(clock, traces, **slow)
    source = buffer(pipeline.call(), tracer_provider=traces.provider) if between else pipeline.call()
    stream = pipeline.stage(source)
    await pipeline.read(stream)
    assert stall_of(traces, "step") == blamed
    (stall,) = stream.summary.stalls
    assert sum(share.duration_ns for share in stall.shares) == stall.duration_ns
    assert {share.cause: share.duration_ns / 1e9 for share in stall.shares} == slow


async def test_a_full_worker_pool_is_told_apart_from_the_work(clock: Clock, traces: Traces) -> None:
    limiter = anyio.CapacityLimiter(1)

    @stage(limiter=limiter, tracer_provider=traces.provider)
    def look_up(item: str) -> str:
        if item == "b":
            clock.advance(1)
        return item

    async def free() -> None:
        while not limiter.statistics().tasks_waiting:
            await anyio.lowlevel.checkpoint()
        clock.advance(2)
        limiter.release_on_behalf_of(limiter)

    stream = look_up(Pipeline(clock, traces).call())
    async with stream as items, anyio.create_task_group() as tasks:
        assert await anext(items) == "a"
        await limiter.acquire_on_behalf_of(limiter)
        tasks.start_soon(free)
        assert [item async for item in items] == ["b", "c"]
    assert stall_of(traces, "look_up") == ("thread_pool", "look_up")
    (stall,) = stream.summary.stalls
    assert [(share.cause, share.duration_ns / 1e9) for share in stall.shares] == [
        ("thread_pool", 2.0),
        ("stage", 1.0),
    ]


async def test_a_branch_waits_for_the_consumer_of_another(clock: Clock, traces: Traces) -> None:
    pipeline = Pipeline(clock, traces)
    made = tee(pipeline.call(), 2, size=1, name="answer", tracer_provider=traces.provider)
    async with made as (slow, fast), anyio.create_task_group() as tasks:
        stream = pipeline.stage(fast)
        tasks.start_soon(pipeline.read, stream)
        await anyio.wait_all_tasks_blocked()
        # The slow branch has one item and the second waits for room; so the fast one waits for a third.
        clock.advance(5)
        assert [item async for item in slow] == ["a", "b", "c"]
    assert stall_of(traces, "step") == ("consumer", "tee answer, branch 0")


async def test_a_stream_that_feeds_another_is_linked_to_it(clock: Clock, traces: Traces) -> None:
    pipeline = Pipeline(clock, traces)
    await pipeline.read(pipeline.stage(buffer(pipeline.call(), tracer_provider=traces.provider)))
    spans = {span.name: span for span in traces.spans()}
    assert [link.context.span_id for link in spans["step"].links] == [spans["buffer"].context.span_id]
    assert [link.context.span_id for link in spans["buffer"].links] == [spans["chat m"].context.span_id]


async def test_streams_that_are_over_are_forgotten(clock: Clock, traces: Traces) -> None:
    pipeline = Pipeline(clock, traces)

    @stage(tracer_provider=traces.provider)
    async def ask(questions: AsyncIterator[int]) -> AsyncIterator[str]:
        async for _ in questions:
            clock.advance(0.001)
            answer = [token async for token in pipeline.call()]
            yield answer[0]

    async def questions() -> AsyncIterator[int]:
        for number in range(50):
            yield number

    stream = ask(questions())
    async with stream as answers:
        for _ in range(50):
            await anext(answers)
    live = stream._self_live
    assert firsttoken.flush(10)
    assert len(live.feeds) <= 1

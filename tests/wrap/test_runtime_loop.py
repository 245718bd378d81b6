"""On the event loop nothing of ours blocks: blockbuster watches every call, asyncio every callback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockingError, blockbuster_ctx

import firsttoken
from firsttoken._wrap import default
from tests.conftest import Traces
from tests.scenes import chat, streamed


@pytest.fixture
def no_blocking_calls() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as blockbuster:
        yield blockbuster


@pytest.fixture
def fresh_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose first stream is still to come: its threads start on the loop."""
    monkeypatch.setattr(default, "_default", None)
    yield
    firsttoken.shutdown(10)


async def every_way(traces: Traces) -> None:
    async def ask() -> Any:
        return streamed(chat("Hel", "lo"))

    def trace(source: Any) -> Any:
        return firsttoken.trace_stream(source, tracer_provider=traces.provider)

    async for _ in trace(streamed(chat("Hel", "lo"))):
        await asyncio.sleep(0)
    async for _ in await trace(ask()):
        pass
    async for _ in trace(streamed(range(1000))):
        break
    for _ in trace(iter("abc")):
        pass
    stream = trace(streamed("ab"))
    assert stream.trace_id is not None
    await anext(stream)
    await stream.aclose()
    task = asyncio.create_task(anext(trace(asleep())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def asleep() -> Any:
    await asyncio.get_running_loop().create_future()
    yield 1


def test_blockbuster_would_see_a_blocking_call(no_blocking_calls: BlockBuster) -> None:
    import time

    async def main() -> None:
        time.sleep(0.001)  # noqa: ASYNC251  # that is the point

    with pytest.raises(BlockingError):
        asyncio.run(main())


def test_no_call_of_ours_blocks_the_loop(
    traces: Traces, fresh_runtime: None, no_blocking_calls: BlockBuster
) -> None:
    asyncio.run(every_way(traces))
    # Reading the summary decodes in place; even so it must not wait for a lock or a thread.

    async def summary() -> Any:
        stream: Any = firsttoken.trace_stream(streamed("ab"), tracer_provider=traces.provider)
        assert [chunk async for chunk in stream] == ["a", "b"]
        return stream.summary

    assert asyncio.run(summary()).chunk_count == 2
    no_blocking_calls.deactivate()
    assert firsttoken.flush(10)
    assert len(traces.exporter.get_finished_spans()) == 7


def test_asyncios_debug_mode_finds_nothing(
    traces: Traces, fresh_runtime: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(every_way(traces), debug=True)
    assert firsttoken.flush(10)
    assert len(traces.exporter.get_finished_spans()) == 6
    said = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert [line for line in said if "never awaited" in line or "exception" in line.lower()] == []

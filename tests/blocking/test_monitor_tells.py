"""What a monitor says by itself: a log line where no stream will tell of a block, a measurement of each."""

from __future__ import annotations

import logging
import re
import threading

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from firsttoken._clock import monotonic_ns
from firsttoken.blocking import LoopBlock, LoopMonitor, Watch, recent
from tests.blocking.test_blocking import sleeps


@pytest.mark.anyio
async def test_on_its_own_the_monitor_logs_what_blocked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "firsttoken"):
        async with LoopMonitor():
            sleeps()
    assert re.search(
        r"event loop blocked for \d+ ms \(\w+\) by \S+test_blocking\.py:\d+ sleeps", caplog.text
    )


@pytest.mark.anyio
async def test_a_block_that_a_live_stream_will_tell_of_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    streams = LoopMonitor()
    with caplog.at_level(logging.WARNING, "firsttoken"):
        async with LoopMonitor():
            watch = streams.enter()
            assert watch is not None
            sleeps()
            await settled(streams, monotonic_ns())
            told_with_stream = "event loop blocked" in caplog.text
            watch.leave()
            await over(watch)
            sleeps()
    assert not told_with_stream
    assert "event loop blocked" in caplog.text


@pytest.mark.anyio
async def test_each_block_is_measured_once_though_two_monitors_see_it() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    one, other = (LoopMonitor(on_block=lambda _: None, meter_provider=provider) for _ in range(2))
    async with one, other:
        begin_ns = monotonic_ns()
        sleeps()
        end_ns = monotonic_ns()
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert metric.name == "firsttoken.loop.block.duration"
    measured = sum(point.count for point in metric.data.data_points)
    assert any(block.duration_ns > 1e8 for block in one.blocks())
    assert any(block.duration_ns > 1e8 for block in other.blocks())
    # On a busy machine the loop may have waited for its processor besides.
    assert 1 <= measured < len(one.blocks()) + len(other.blocks())
    assert sum(b.started_ns < end_ns and b.ended_ns > begin_ns for b in blocks_of_this_thread()) == 1


def blocks_of_this_thread() -> list[LoopBlock]:
    this = threading.get_ident()
    return [told for told in recent() if isinstance(told, LoopBlock) and told.thread_id == this]


async def settled(monitor: LoopMonitor, until_ns: int) -> None:
    with anyio.fail_after(30):
        while not monitor.settled(threading.get_ident(), until_ns):
            await anyio.lowlevel.checkpoint()


async def over(watch: Watch) -> None:
    with anyio.fail_after(30):
        while not watch.over:
            await anyio.lowlevel.checkpoint()

"""A block as the streams on its loop tell it: on the span, as an event, among recent stalls, as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import firsttoken
from firsttoken._settings import Settings
from firsttoken._wrap import default
from firsttoken._wrap.runtime import Runtime
from firsttoken.asgi._live import live_streams_json
from firsttoken.blocking import StreamStall, Watch, recent
from tests.conftest import Traces
from tests.scenes import opened, outcomes, streamed

STREAMS = 3


def save_log() -> None:
    time.sleep(0.4)


async def tokens(first_s: float) -> AsyncIterator[str]:
    await asyncio.sleep(first_s)
    for _ in range(5):
        yield "token"
        await asyncio.sleep(0.01)


async def read(stream: Any, blocking: bool) -> None:
    async for _ in stream:
        if blocking:
            save_log()
            blocking = False


async def chats(traces: Traces) -> None:
    """Block the loop once, between the first token of one stream and that of the others."""

    def stream(first_s: float) -> Any:
        return firsttoken.trace_stream(tokens(first_s), model="m", tracer_provider=traces.provider)

    first, *others = [stream(0.01), *(stream(0.05) for _ in range(STREAMS - 1))]
    await asyncio.gather(read(first, True), *(read(other, False) for other in others))
    await all_told(traces)


async def all_told(traces: Traces) -> None:
    """Let the loop go on, as it does in a service, until everything is learned and told."""
    with anyio.fail_after(30):
        while len(traces.exporter.get_finished_spans()) < STREAMS:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    runtime = Runtime(Settings(stall_threshold_s=0.2))
    monkeypatch.setattr(default, "_default", runtime)
    yield
    assert runtime.shutdown(10)


@pytest.fixture
def stalling_streams(traces: Traces, watching: None) -> Any:
    asyncio.run(chats(traces))
    return traces.exporter.get_finished_spans()


def test_every_stream_on_the_loop_says_who_held_it_up_and_what_that_cost(stalling_streams: Any) -> None:
    assert len(stalling_streams) == STREAMS
    for span in stalling_streams:
        assert span.attributes["firsttoken.loop_block.count"] >= 1
        assert span.attributes["firsttoken.loop_block.culprit"].endswith(" save_log")
        assert span.attributes["firsttoken.loop_block.share"] > 0.3
        assert span.attributes["firsttoken.loop_blocked"] > 0.3
        assert __file__ in span.attributes["firsttoken.loop_block.culprit"]
        blocks = [event for event in span.events if event.name == "firsttoken.loop_block"]
        (block,) = [block for block in blocks if block.attributes["firsttoken.loop_block.duration"] > 0.3]
        assert block.attributes["code.function.name"] == "save_log"
        assert block.attributes["code.stacktrace"].splitlines()[-1].endswith("save_log")
    held_up = [e for span in stalling_streams for e in span.events if e.name == "firsttoken.stall"]
    # The one that blocked was held by its own reader, the others waited for their first token.
    causes = [event.attributes["firsttoken.stall.cause"] for event in held_up]
    assert causes.count("event_loop") == STREAMS


def test_stalls_are_remembered_and_on_the_debug_page(stalling_streams: Any) -> None:
    ids = {span.context.span_id for span in stalling_streams}
    stalls = [told for told in recent() if isinstance(told, StreamStall) and told.span_id in ids]
    assert len(stalls) >= STREAMS
    page = json.loads(live_streams_json([]))
    trace_ids = {f"{span.context.trace_id:032x}" for span in stalling_streams}
    shown = [stall for stall in page["stalls"] if stall["trace_id"] in trace_ids]
    assert {stall["function"] for stall in shown if stall["cause"] == "event_loop"} == {"save_log"}
    (block,) = [block for block in page["loop_blocks"] if block["file"] == __file__][:1]
    assert block["stack"][-1].endswith("save_log")
    assert page["streams"] == []


def test_a_stream_that_ends_while_the_loop_stands_still_waits_for_the_news(
    traces: Traces, watching: None
) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def last_token() -> AsyncIterator[str]:
            await go.wait()
            yield "token"

        async def stream(name: str) -> None:
            # All in one turn of the loop: the second ends in the middle of it.
            traced: Any = firsttoken.trace_stream(last_token(), model=name, tracer_provider=traces.provider)
            await read(traced, blocking=name != "second")

        reading = [asyncio.create_task(stream(name)) for name in ("first", "second", "third")]
        await asyncio.sleep(0.05)
        go.set()
        await asyncio.gather(*reading)
        await all_told(traces)

    asyncio.run(main())
    (second,) = [span for span in traces.exporter.get_finished_spans() if span.name == "chat second"]
    assert second.attributes["firsttoken.loop_blocked"] > 0.3
    assert second.attributes["firsttoken.loop_block.culprit"].endswith(" save_log")


def open_counters() -> set[str]:
    """Return the files that say how long a thread waited, as far as this process has them open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed since, as that of the listing is
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.endswith("schedstat"):
                found.add(fd)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_loops_that_ended_keep_no_file_open_whoever_keeps_their_streams(traces: Traces) -> None:
    runtime = Runtime(Settings(), tracer_provider=traces.provider)
    before, kept = len(open_counters()), []

    async def one() -> None:
        stream = opened(runtime, streamed("ab"))
        kept.append(stream)
        async for _ in stream:
            pass

    for _ in range(20):
        asyncio.run(one())
    assert runtime.flush(30)
    deadline_s = time.monotonic() + 30
    while len(open_counters()) > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert len(open_counters()) <= before
    assert outcomes(traces) == ["completed"] * 20
    assert runtime.shutdown(10)


def test_a_stream_that_was_told_keeps_nothing_of_its_loop(traces: Traces) -> None:
    runtime = Runtime(Settings(), tracer_provider=traces.provider)

    async def one() -> tuple[Any, weakref.ref[Watch]]:
        stream = opened(runtime, streamed("ab"))
        async for _ in stream:
            pass
        monitor = runtime._monitor
        assert monitor is not None
        return stream, weakref.ref(monitor._watches[threading.get_ident()])

    stream, watch = asyncio.run(one())
    asyncio.run(one())  # whoever looks after the last one has the next to look after
    assert runtime.flush(30)
    deadline_s = time.monotonic() + 30
    while watch() is not None and time.monotonic() < deadline_s:
        gc.collect()
    assert watch() is None
    assert stream.summary.chunk_count == 2
    assert runtime.shutdown(30)

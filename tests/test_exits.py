"""One stream, one span, the right outcome: on every exit, source and event loop."""

from __future__ import annotations

import sys
from typing import Any

import anyio.to_thread
import pytest
from opentelemetry import trace

import firsttoken
from firsttoken.testing import (
    EXITS,
    SOURCES,
    Exit,
    ScriptedSource,
    check_exit,
    check_stream_wrapper,
    settle,
)
from tests.conftest import Traces

# trio says so of every async generator that is dropped unfinished, ours or not.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")

CASES = [
    pytest.param(kind, leaving, id=f"{kind}, {leaving.name}")
    for kind in SOURCES
    for leaving in EXITS
    if not (kind == "generator" and leaving.needs_async)
]


def expected_outcome(leaving: Exit, backend: str) -> str | None:
    if (
        leaving.name == "cancelled while the consumer holds"
        and sys.version_info < (3, 11)
        and backend != "trio"
    ):
        # asyncio only remembers from 3.11 on that a task was asked to cancel.
        return "abandoned"
    return leaving.outcome


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "leaving"), CASES)
async def test_every_exit_is_one_span_with_its_outcome(
    kind: str, leaving: Exit, traces: Traces, anyio_backend_name: str
) -> None:
    await check_exit(
        lambda source: firsttoken.trace_stream(source, tracer_provider=traces.provider), kind, leaving
    )
    outcome = expected_outcome(leaving, anyio_backend_name)
    told = [span.attributes["firsttoken.outcome"] for span in traces.spans()]
    assert told == ([] if outcome is None else [outcome])
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.anyio
async def test_trace_stream_keeps_the_contract_without_a_tracer_provider() -> None:
    await check_stream_wrapper(firsttoken.trace_stream)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", SOURCES)
async def test_done_event_then_lingering_is_told_while_the_generator_lives(
    kind: str, traces: Traces
) -> None:
    source = ScriptedSource(chunks=("a", "END", "late"))
    stream: Any = firsttoken.trace_stream(
        SOURCES[kind](source), done="END", tracer_provider=traces.provider
    )
    iterator = aiter(stream) if hasattr(stream, "__aiter__") else iter(stream)
    for _ in range(2):
        await anext(iterator) if hasattr(iterator, "__anext__") else next(iterator)
    await anyio.to_thread.run_sync(wait_for_spans, traces, 1)
    (span,) = traces.exporter.get_finished_spans()
    assert span.attributes["firsttoken.outcome"] == "completed"
    done = [event for event in span.events if event.name == "firsttoken.done"]
    assert [event.timestamp for event in done] == [span.end_time]
    await anext(iterator) if hasattr(iterator, "__anext__") else next(iterator)
    del iterator, stream
    await settle()
    assert len(traces.spans()) == 1


def wait_for_spans(traces: Traces, count: int) -> None:
    """Give the worker the time it is allowed: this waits for it, nothing here goes on by itself."""
    import threading
    import time

    deadline = time.monotonic() + 10
    pause = threading.Event()
    while len(traces.exporter.get_finished_spans()) < count:
        assert time.monotonic() < deadline, "the done event did not finalize the trace"
        pause.wait(0.005)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", SOURCES)
async def test_shutdown_tells_a_live_stream_as_interrupted(kind: str, traces: Traces) -> None:
    from firsttoken._wrap.live import Request
    from firsttoken._wrap.pending import traced_source
    from firsttoken._wrap.runtime import Runtime

    runtime = Runtime(tracer_provider=traces.provider)
    live = runtime.open(Request())
    stream = traced_source(SOURCES[kind](ScriptedSource()), live, runtime.start_span)
    first = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(iter(stream))
    assert first == "a"
    assert runtime.shutdown(10)
    (span,) = traces.exporter.get_finished_spans()
    assert span.attributes["firsttoken.outcome"] == "interrupted"
    closed = stream.aclose() if hasattr(stream, "aclose") else stream.close()
    if closed is not None:
        await closed
    assert len(traces.spans()) == 1

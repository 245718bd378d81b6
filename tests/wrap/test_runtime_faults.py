"""The runtime among the faulty: processors that raise or hang, attributes nobody can encode, exits."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

from firsttoken._clock import monotonic_ns
from firsttoken._guard import fault_counts
from firsttoken._settings import Settings
from firsttoken._wrap.runtime import Runtime
from tests.conftest import Traces
from tests.scenes import consume, opened, outcomes


class Raising(SpanProcessor):
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def on_end(self, span: ReadableSpan) -> None:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_a_processor_that_raises_does_not_stop_the_next_stream(error: type[BaseException]) -> None:
    before = sum(fault_counts().values())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Raising(error))
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    for _ in range(2):
        consume(runtime)
        assert runtime.flush(10)
    assert runtime.shutdown(10)
    assert sum(fault_counts().values()) == before + 2


class Starting(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("the user's")


def test_a_processor_that_raises_at_the_start_lets_the_stream_pass() -> None:
    before = fault_counts().get("start a span", 0)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Starting())
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    assert list(opened(runtime, iter("abc"))) == ["a", "b", "c"]
    assert fault_counts()["start a span"] == before + 1
    assert runtime.shutdown(10)


def test_asking_for_ids_never_raises() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Starting())
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    assert opened(runtime, iter("abc")).trace_id is None


def test_a_processor_that_traces_a_stream_of_its_own_waits_for_nobody(traces: Traces) -> None:
    class Tracing(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name == "outer":
                consume(runtime, name="inner", tracer_provider=traces.provider)

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Tracing())
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    thread = threading.Thread(target=consume, args=(runtime,), kwargs={"name": "outer"}, daemon=True)
    thread.start()
    thread.join(2)
    assert not thread.is_alive(), "it waits for itself"
    assert runtime.shutdown(10)


class Blocking(SpanExporter):
    """A collector that hangs."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def export(self, spans: Any) -> Any:
        self.reached.set()
        self.go_on.wait(30)


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_an_exporter_that_blocks_holds_nobody_up(processor: Any) -> None:
    exporter = Blocking()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor(exporter))
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    try:
        consume(runtime)
        began_ns = monotonic_ns()
        assert not runtime.flush(0.2)
        assert exporter.reached.wait(10)
        stream = opened(runtime, iter(range(1000)))
        assert list(stream) == list(range(1000))
        assert stream.summary.chunk_count == 1000
        assert not runtime.shutdown(0.2)
        assert monotonic_ns() - began_ns < 10_000_000_000
    finally:
        exporter.go_on.set()


def test_what_a_stuck_teller_cannot_take_is_counted() -> None:
    exporter = Blocking()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    runtime._teller._capacity = 3
    try:
        consume(runtime)
        assert runtime._thinker.flush(10)
        assert exporter.reached.wait(10)
        for _ in range(10):
            consume(runtime)
        assert runtime._thinker.flush(10)
        assert runtime.dropped == 7
    finally:
        exporter.go_on.set()
        assert runtime.shutdown(10)


def test_a_provider_that_cannot_flush_is_a_flush_that_failed() -> None:
    class Provider(TracerProvider):
        def force_flush(self, timeout_millis: int | None = None) -> bool:
            raise RuntimeError("the user's")

    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=Provider(shutdown_on_exit=False))
    consume(runtime)
    assert not runtime.flush(10)
    assert not runtime.shutdown(10)


@pytest.mark.parametrize("value", [object(), {"a": 1}, [1, "a"], b"\xff", float("nan"), "\ud800", 2**100])
def test_attributes_that_cannot_be_encoded_lose_no_stream(
    value: Any, runtime: Runtime, traces: Traces
) -> None:
    consume(runtime, attributes={"user.odd": value, "server.address": value, "user.good": 1})
    assert runtime.flush(10)
    (span,) = traces.exporter.get_finished_spans()
    assert span.attributes["firsttoken.outcome"] == "completed"
    assert span.attributes["user.good"] == 1


def test_a_predicate_that_wants_to_exit_stops_no_other_stream(runtime: Runtime, traces: Traces) -> None:
    def done(chunk: Any) -> bool:
        raise SystemExit

    consume(runtime, done=done)
    consume(runtime)
    assert runtime.flush(10)
    assert len(outcomes(traces)) == 2


def test_a_processor_that_wants_to_exit_loses_no_other_stream() -> None:
    ended = []

    class Exiting(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span.name)
            raise SystemExit

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Exiting())
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=provider)
    for _ in range(20):
        consume(runtime)
    assert runtime.shutdown(10)
    assert len(ended) == 20

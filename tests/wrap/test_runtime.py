"""The runtime: each stream told once, however many there are, and none after a shutdown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from firsttoken._clock import monotonic_ns
from firsttoken._settings import Settings
from firsttoken._wrap import default
from firsttoken._wrap.runtime import Runtime
from tests.conftest import Traces
from tests.scenes import chat, consume, opened, outcomes, streamed


def test_nothing_runs_before_the_first_stream(runtime: Runtime) -> None:
    assert runtime.flush(10)
    assert runtime._thinker._thread is None
    assert runtime._teller._thread is None


def test_a_stream_is_one_span_of_its_name_kind_and_times(runtime: Runtime, traces: Traces) -> None:
    stream = opened(runtime, iter(chat("Hel", "lo")), model="asked", provider="acme")
    list(stream)
    assert runtime.flush(10)
    (span,) = traces.exporter.get_finished_spans()
    assert (span.name, span.kind) == ("chat asked", trace.SpanKind.CLIENT)
    assert (span.start_time, span.end_time) == (stream.summary.started_ns, stream.summary.ended_ns)
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.provider.name"] == "acme"
    assert span.instrumentation_scope.name == "firsttoken"
    assert (stream.trace_id, stream.span_id) == (
        trace.format_trace_id(span.context.trace_id),
        trace.format_span_id(span.context.span_id),
    )


def test_what_is_no_call_to_a_model_is_an_internal_span(runtime: Runtime, traces: Traces) -> None:
    consume(runtime, operation="enrich")
    assert runtime.flush(10)
    (span,) = traces.exporter.get_finished_spans()
    assert (span.name, span.kind) == ("enrich", trace.SpanKind.INTERNAL)


def test_two_thousand_streams_at_once_are_each_told_once(runtime: Runtime, traces: Traces) -> None:
    async def one(number: int) -> None:
        async for _ in opened(runtime, streamed(range(3)), name=str(number)):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(2000)))

    asyncio.run(main())
    assert runtime.flush(30)
    names = [span.name for span in traces.exporter.get_finished_spans()]
    assert sorted(names, key=int) == [str(number) for number in range(2000)]
    assert set(outcomes(traces)) == {"completed"}
    assert runtime.dropped == 0
    assert runtime._live == {}


def test_sync_streams_in_threads_are_each_told_once(runtime: Runtime, traces: Traces) -> None:
    threads = [threading.Thread(target=consume, args=(runtime, range(50))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runtime.flush(10)
    assert outcomes(traces) == ["completed"] * 20


def test_a_summary_read_at_once_does_not_keep_the_stream_from_being_told(
    runtime: Runtime, traces: Traces
) -> None:
    for _ in range(20):
        stream = opened(runtime, iter("abc"))
        list(stream)
        assert stream.summary.chunk_count == 3
    assert runtime.flush(10)
    assert outcomes(traces) == ["completed"] * 20


def test_a_full_queue_lets_the_stream_pass_and_counts_it(runtime: Runtime, traces: Traces) -> None:
    runtime._thinker._capacity = 0
    stream = opened(runtime, iter("abc"))
    assert list(stream) == ["a", "b", "c"]
    assert runtime.dropped == 1
    assert stream._self_live.record.marks == []


def test_streams_after_a_shutdown_pass_and_are_counted(runtime: Runtime, traces: Traces) -> None:
    consume(runtime)
    assert runtime.shutdown(10)
    assert runtime.is_shut_down
    assert list(opened(runtime, iter("abc"))) == ["a", "b", "c"]
    assert (runtime.dropped, outcomes(traces)) == (1, ["completed"])


def test_a_second_shutdown_returns_at_once(runtime: Runtime) -> None:
    consume(runtime)
    assert runtime.shutdown(10)
    began_ns = monotonic_ns()
    assert runtime.shutdown(30)
    assert monotonic_ns() - began_ns < 10_000_000_000


def test_a_live_stream_that_outlives_a_shutdown_keeps_nothing(runtime: Runtime, traces: Traces) -> None:
    swept = threading.Event()
    stream = opened(runtime, iter(range(10_000)))
    next(stream)
    assert runtime.shutdown(10)
    assert outcomes(traces) == ["interrupted"]
    for _ in stream:
        pass
    record = stream._self_live.record
    deadline_ns = monotonic_ns() + 10_000_000_000
    while record.marks and monotonic_ns() < deadline_ns:
        swept.wait(0.005)
    assert record.marks == []
    assert outcomes(traces) == ["interrupted"]


# --- who is not sampled ---------------------------------------------------------------------------------


def test_a_stream_nobody_samples_costs_nothing(runtime: Runtime) -> None:
    off = TracerProvider(shutdown_on_exit=False, sampler=ALWAYS_OFF)
    stream = opened(runtime, iter("abc"), tracer_provider=off)
    assert list(stream) == ["a", "b", "c"]
    assert stream.summary is None
    assert runtime._thinker._thread is None


def test_a_stream_nobody_samples_is_measured_where_asked(traces: Traces) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    off = TracerProvider(shutdown_on_exit=False, sampler=ALWAYS_OFF)
    settings = Settings(block_threshold_s=None, measure_unsampled=True)
    runtime = Runtime(settings, tracer_provider=off, meter_provider=meters)
    stream = opened(runtime, iter(chat("Hel", "lo")))
    list(stream)
    assert runtime.shutdown(10)
    assert stream.summary.outcome == "completed"
    assert stream.summary.hold_ns is None
    data = reader.get_metrics_data()
    assert data is not None
    names = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert "gen_ai.client.operation.duration" in names


def test_arrivals_alone_nest_nothing_and_hold_nothing(traces: Traces) -> None:
    runtime = Runtime(Settings(record="arrivals", block_threshold_s=None), tracer_provider=traces.provider)
    seen = []

    def source() -> Iterator[int]:
        seen.append(trace.get_current_span())
        yield 1

    stream = opened(runtime, source())
    list(stream)
    assert runtime.shutdown(10)
    assert (seen, stream.summary.hold_ns) == ([trace.INVALID_SPAN], None)


def test_the_default_runtime_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_default", None)
    assert default.default_runtime() is default.default_runtime()

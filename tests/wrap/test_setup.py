"""`configure`, `flush`, `shutdown`: from the environment or by argument, again and again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import firsttoken
from firsttoken import ConfigError
from firsttoken._wrap import default
from firsttoken._wrap import setup as _setup
from tests.conftest import Traces
from tests.scenes import ManualClock, chat, streamed


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin as a process does: no tracer provider, no runtime, nothing in the environment."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(default, "_default", None)
    monkeypatch.setattr(_setup, "_exported", [])
    for name in (
        "OTEL_TRACES_EXPORTER",
        "OTEL_SERVICE_NAME",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SDK_DISABLED",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    yield
    firsttoken.shutdown(10)
    made = trace._TRACER_PROVIDER
    if isinstance(made, TracerProvider):
        made.shutdown()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def consume(source: Any = "abc", **options: Any) -> None:
    for _ in firsttoken.trace_stream(iter(source), **options):
        pass


def test_without_configure_streams_go_to_whichever_provider_is_set(traces: Traces) -> None:
    consume()
    assert firsttoken.flush(10)
    trace.set_tracer_provider(traces.provider)
    consume(name="seen")
    assert [span.name for span in traces.spans()] == ["seen"]


def test_configure_makes_a_provider_where_there_is_none(exporter: InMemorySpanExporter) -> None:
    provider: Any = firsttoken.configure(service_name="shop", exporter=exporter)
    assert trace.get_tracer_provider() is provider
    consume()
    assert firsttoken.flush(10)
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "shop"


def test_the_environment_names_the_service(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from the environment")
    provider: Any = firsttoken.configure(exporter=exporter)
    assert provider.resource.attributes["service.name"] == "from the environment"


def test_configure_adds_to_a_provider_that_is_there(traces: Traces, exporter: InMemorySpanExporter) -> None:
    trace.set_tracer_provider(traces.provider)
    assert firsttoken.configure(exporter=exporter) is traces.provider
    consume()
    assert len(traces.spans()) == len(exporter.get_finished_spans()) == 1


def test_configure_adds_nothing_by_itself_to_a_provider_that_is_there(traces: Traces) -> None:
    trace.set_tracer_provider(traces.provider)
    before = traces.provider._active_span_processor._span_processors
    firsttoken.configure()
    assert traces.provider._active_span_processor._span_processors == before


def test_configure_again_adds_no_exporter_twice(exporter: InMemorySpanExporter) -> None:
    provider = firsttoken.configure(exporter=exporter)
    assert firsttoken.configure(exporter=exporter) is provider
    assert firsttoken.configure() is provider
    consume()
    assert firsttoken.flush(10)
    assert len(exporter.get_finished_spans()) == 1


def test_the_settings_of_the_last_call_count(traces: Traces) -> None:
    firsttoken.configure(tracer_provider=traces.provider, max_events=1)
    firsttoken.configure(tracer_provider=traces.provider, max_events=2)
    consume("abcdef")
    chunks = [event for event in traces.span().events if event.name == "firsttoken.chunk"]
    assert len(chunks) == 2


def test_a_provider_that_is_given_stays_out_of_the_globals(traces: Traces) -> None:
    assert firsttoken.configure(tracer_provider=traces.provider) is traces.provider
    assert trace._TRACER_PROVIDER is None
    consume()
    assert len(traces.spans()) == 1


def test_a_provider_made_here_takes_every_chunk_event(exporter: InMemorySpanExporter) -> None:
    firsttoken.configure(exporter=exporter, max_events=900)
    consume("x" * 900)
    assert firsttoken.flush(10)
    (span,) = exporter.get_finished_spans()
    assert span.dropped_events == 0
    assert sum(event.name == "firsttoken.chunk" for event in span.events) == 900


def test_the_environments_limit_of_events_stands(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "16")
    provider: Any = firsttoken.configure()
    assert provider._span_limits.max_events == 16


@pytest.mark.parametrize(
    ("named", "processors"), [(None, 1), ("otlp", 1), ("console", 1), ("none", 0), ("zipkin", 0)]
)
def test_the_environment_names_the_exporter(
    named: str | None, processors: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if named is not None:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", named)
    provider: Any = firsttoken.configure()
    assert len(provider._active_span_processor._span_processors) == processors
    warned = any("otlp, console, none" in record.getMessage() for record in caplog.records)
    assert warned is (named == "zipkin")


def test_a_disabled_sdk_costs_nothing(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    firsttoken.configure(exporter=exporter)
    stream: Any = firsttoken.trace_stream(iter("ab"))
    assert (list(stream), stream.summary) == (["a", "b"], None)
    assert exporter.get_finished_spans() == ()


def test_metrics_go_to_the_provider_that_is_given(traces: Traces) -> None:
    reader = InMemoryMetricReader()
    firsttoken.configure(
        tracer_provider=traces.provider,
        meter_provider=MeterProvider([reader], shutdown_on_exit=False),
        metric_names="inference",
    )
    consume()
    assert firsttoken.flush(10)
    data = reader.get_metrics_data()
    assert data is not None
    names = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert "gen_ai.client.inference.duration" in names


def texts(traces: Traces, chunks: list[Any]) -> tuple[Any, list[Any]]:
    consume(chunks)
    span = traces.span()
    message = span.attributes.get("gen_ai.output.messages")
    events = [
        event.attributes.get("firsttoken.text") for event in span.events if event.name == "firsttoken.chunk"
    ]
    return message and json.loads(message)[0]["parts"][0]["content"], [text for text in events if text]


@pytest.mark.parametrize(
    ("mode", "on_span", "on_events"),
    [
        (None, None, []),
        ("NO_CONTENT", None, []),
        ("SPAN_ONLY", "HELLO", []),
        ("EVENT_ONLY", None, ["HEL", "LO"]),
        ("SPAN_AND_EVENT", "HELLO", ["HEL", "LO"]),
        (True, "HELLO", ["HEL", "LO"]),
    ],
)
def test_text_is_told_where_it_may_be_and_redacted_first(
    mode: Any, on_span: Any, on_events: Any, traces: Traces
) -> None:
    firsttoken.configure(tracer_provider=traces.provider, capture_content=mode, redact=str.upper)
    assert texts(traces, chat("Hel", "lo")) == (on_span, on_events)


def test_the_environment_says_where_text_may_be_told(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
    firsttoken.configure(tracer_provider=traces.provider)
    assert texts(traces, chat("Hel", "lo")) == ("Hello", [])


def test_without_configure_no_text_is_told(traces: Traces) -> None:
    trace.set_tracer_provider(traces.provider)
    assert texts(traces, chat("Hel", "lo")) == (None, [])
    assert "Hel" not in traces.span().to_json()


def test_stalls_and_errors_are_what_was_configured(traces: Traces, clock: ManualClock) -> None:
    firsttoken.configure(
        tracer_provider=traces.provider,
        stall_threshold_s=0.2,
        block_threshold_s=None,
        error_outcomes=("failed", "abandoned"),
    )

    async def slow() -> Any:
        async for chunk in streamed("abc"):
            clock.advance(0.3)
            yield chunk

    async def main() -> None:
        stream: Any = firsttoken.trace_stream(slow())
        await anext(stream)
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    span = traces.span()
    assert (span.attributes["firsttoken.stall.count"], span.status.is_ok) == (1, False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exporter": "otlp"}, TypeError, "exporter is a SpanExporter or None, not str"),
        ({"tracer_provider": 5}, TypeError, "tracer_provider is a TracerProvider or None, not int"),
        (
            {"tracer_provider": trace.NoOpTracerProvider(), "exporter": InMemorySpanExporter()},
            ConfigError,
            "add_span",
        ),
        ({"capture_content": "ALL"}, ConfigError, "SPAN_AND_EVENT"),
        ({"max_events": 0}, ConfigError, "at least 1"),
        ({"stall_threshold_s": -1}, ConfigError, "above 0"),
        ({"block_threshold_s": 0}, ConfigError, "above 0"),
        ({"record": "some"}, ConfigError, "full, arrivals"),
        ({"error_outcomes": ["late"]}, ConfigError, "failed, cancelled"),
        ({"error_outcomes": "failed"}, TypeError, "outcome,"),
        ({"measure_unsampled": "no"}, ConfigError, "True or False"),
        ({"service_name": 5}, TypeError, "service_name is a string"),
        ({"metric_names": "new"}, ConfigError, "operation, inference"),
        ({"user_paths": [5]}, TypeError, "user_paths .* int"),
    ],
)
def test_a_wrong_argument_is_refused_and_changes_nothing(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        firsttoken.configure(**options)
    assert trace._TRACER_PROVIDER is None
    assert default.default_runtime().settings.max_events == 1000


@pytest.mark.parametrize("options", [{"meter_provider": 5}, {"user_paths": "one/path"}, {"redact": 5}])
def test_more_wrong_arguments_are_refused(options: Any) -> None:
    with pytest.raises(TypeError):
        firsttoken.configure(**options)


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan"), None, "2"])
def test_a_timeout_is_a_number_of_seconds(timeout_s: Any) -> None:
    for function in (firsttoken.flush, firsttoken.shutdown):
        with pytest.raises(ConfigError, match="timeout_s"):
            function(timeout_s)


def test_after_a_shutdown_streams_pass_until_configure_is_called_again(traces: Traces) -> None:
    firsttoken.configure(tracer_provider=traces.provider)
    consume(name="before")
    assert firsttoken.shutdown(10)
    consume(name="between")
    firsttoken.configure(tracer_provider=traces.provider)
    consume(name="after")
    assert [span.name for span in traces.spans()] == ["before", "after"]


def test_a_log_of_a_bad_environment_names_no_content(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp,console")
    with caplog.at_level(logging.WARNING):
        firsttoken.configure(user_paths=[tmp_path])
    assert [record.name for record in caplog.records] == ["firsttoken"]

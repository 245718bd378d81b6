"""What is counted is told, as statistics and as metrics."""

from __future__ import annotations

import weakref

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from firsttoken.export import _statistics, statistics
from tests.export import collector as c
from tests.export.collector import Collector
from tests.export.faults import end_spans, processor_for


def test_metrics_tell_what_the_statistics_tell(collector: Collector) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    collector.then(c.partial(2))
    ours = processor_for(collector, meter_provider=meters)
    end_spans(ours, 6)
    ours.flush(30)
    data = reader.get_metrics_data()
    told = {
        (metric.name, point.attributes.get("error.type")): point.value
        for group in data.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert told["otel.sdk.processor.span.processed", None] == 4
    assert told["otel.sdk.processor.span.processed", "rejected"] == 2
    assert told["otel.sdk.exporter.span.exported", None] == 4
    assert told["otel.sdk.exporter.span.exported", "rejected"] == 2
    assert told["otel.sdk.processor.span.queue.size", None] == 0
    ours.shutdown()
    meters.shutdown()


def test_the_statistics_of_all_processors_are_added_up(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the processors of other tests, which go away whenever the collector of garbage comes.
    monkeypatch.setattr(_statistics, "_all_counts", weakref.WeakSet())
    both = [processor_for(collector), processor_for(collector)]
    for each in both:
        end_spans(each, 2)
        assert each.shutdown(30)
    assert statistics().accepted == 4

"""Metrics: the conventions' names, units, buckets and attributes, in one set of names or the other."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from firsttoken import semconv
from firsttoken._record.record import Ending
from firsttoken._tell.metrics import LoopMetrics, StreamMetrics
from firsttoken.decoders import Text, Usage
from firsttoken.summary import summarize
from tests.scenes import MS, Paper, S, evenly

ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "acme",
    "gen_ai.request.model": "asked",
    "gen_ai.response.model": "answered",
    "server.address": "api.acme.test",
    "server.port": 443,
    "error.type": "overloaded",
}


def measured(names: str, paper: Paper, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return name -> metric of one stream."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record, tally = paper.tallied()
    summary = summarize(record, tally, operation="chat")
    told = (
        {**ATTRIBUTES, "firsttoken.outcome": "completed", "user.id": "42"}
        if attributes is None
        else attributes
    )
    StreamMetrics(provider.get_meter("t"), names).record(summary, tally.arrivals, told, lambda: None)
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}


def answer() -> Paper:
    return Paper([*evenly(4, 100 * MS), (S, S, (Usage(input=7, output=3),))])


def points(metric: Any) -> list[tuple[int, float, dict[str, Any]]]:
    return [(point.count, point.sum, dict(point.attributes)) for point in metric.data.data_points]


def test_the_present_names() -> None:
    metrics = measured("operation", answer())
    assert points(metrics.pop("gen_ai.client.operation.duration")) == [(1, 1.0, ATTRIBUTES)]
    assert points(metrics.pop("gen_ai.client.operation.time_to_first_chunk")) == [(1, 0.1, ATTRIBUTES)]
    ((count, total, attributes),) = points(metrics.pop("gen_ai.client.operation.time_per_output_chunk"))
    assert (count, total, attributes) == (4, pytest.approx(0.9), ATTRIBUTES)
    by_type = {
        attributes.pop("gen_ai.token.type"): (count, total, attributes)
        for count, total, attributes in points(metrics.pop("gen_ai.client.token.usage"))
    }
    assert by_type == {"input": (1, 7, ATTRIBUTES), "output": (1, 3, ATTRIBUTES)}
    assert metrics == {}


def test_the_names_that_replace_them() -> None:
    metrics = measured("inference", answer())
    assert points(metrics.pop("gen_ai.client.inference.usage.input_tokens")) == [(1, 7, ATTRIBUTES)]
    assert points(metrics.pop("gen_ai.client.inference.usage.output_tokens")) == [(1, 3, ATTRIBUTES)]
    assert sorted(metrics) == [
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
    ]


@pytest.mark.parametrize("names", ["operation", "inference"])
def test_units_and_buckets(names: str) -> None:
    for name, metric in measured(names, answer()).items():
        counts_tokens = "usage" in name
        assert metric.unit == ("{token}" if counts_tokens else "s")
        buckets = semconv.TOKEN_BUCKETS if counts_tokens else semconv.SECONDS_BUCKETS
        assert all(tuple(point.explicit_bounds) == buckets for point in metric.data.data_points)
        assert metric.description


def test_tokens_that_were_not_sent_are_not_measured() -> None:
    assert "gen_ai.client.token.usage" not in measured("operation", Paper(evenly(2, MS)))


def test_a_stream_without_a_chunk_has_a_duration_alone() -> None:
    metrics = measured("operation", Paper(ending=Ending.CANCELLED, ended_ns=S))
    assert list(metrics) == ["gen_ai.client.operation.duration"]


def test_attributes_that_are_not_there_are_left_out() -> None:
    metrics = measured("operation", answer(), {"gen_ai.operation.name": "chat"})
    ((_, _, attributes),) = points(metrics["gen_ai.client.operation.duration"])
    assert attributes == {"gen_ai.operation.name": "chat"}


def test_it_breathes_between_chunks() -> None:
    breaths: list[None] = []
    record, tally = Paper(evenly(50, MS, (Text("a"),))).tallied()
    metrics = StreamMetrics(MeterProvider(shutdown_on_exit=False).get_meter("t"), "operation")
    summary = summarize(record, tally, operation="chat")
    metrics.record(summary, array("q", tally.arrivals), {}, lambda: breaths.append(None))
    assert len(breaths) == 49


def test_loop_blocks_are_measured_in_seconds_by_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, later = InMemoryMetricReader(), InMemoryMetricReader()
    current = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter_provider", lambda: current)
    loop_metrics = LoopMetrics()
    loop_metrics.record(60 * MS, "io")
    loop_metrics.record(2 * S, "io")
    loop_metrics.record(S, "gc")
    current = MeterProvider([later], shutdown_on_exit=False)
    loop_metrics.record(S, "cpu")
    (metric,) = metrics_of(reader)
    assert (metric.name, metric.unit) == ("firsttoken.loop.block.duration", "s")
    assert {attributes["firsttoken.loop_block.kind"]: told for *told, attributes in points(metric)} == {
        "io": [2, pytest.approx(2.06)],
        "gc": [1, 1.0],
    }
    assert [len(point.bucket_counts) for point in metric.data.data_points] == [15, 15]
    assert [count for count, *_ in points(metrics_of(later)[0])] == [1]


def metrics_of(reader: InMemoryMetricReader) -> list[Any]:
    data = reader.get_metrics_data()
    return [] if data is None else list(data.resource_metrics[0].scope_metrics[0].metrics)

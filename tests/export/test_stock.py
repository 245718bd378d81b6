"""Any stock exporter as the way out."""

from __future__ import annotations

import sys
import threading
import types
from array import array
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export import StreamSpanProcessor, carrying
from firsttoken.export._stock import stock_exporter
from tests.export.faults import end_spans
from tests.export.spans import NOW, chunk_events, span


class Stock(SpanExporter):
    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.calls: list[list] = []
        self.result = result
        self.let_go = threading.Event()
        self.let_go.set()
        self.closed = False

    def export(self, spans):
        self.calls.append(list(spans))
        self.let_go.wait()
        return self.result

    def shutdown(self) -> None:
        self.closed = True


def test_any_stock_exporter_gets_every_event_as_an_object() -> None:
    stock = Stock()
    ours = StreamSpanProcessor(exporter=stock, schedule_delay_s=60)
    with carrying(1, ChunkEvents(array("q", [NOW, NOW + 10**9]))):
        ours.on_end(span(1))
    assert ours.flush(30)
    ((told,),) = stock.calls
    assert [(event.name, event.timestamp, dict(event.attributes)) for event in told.events] == [
        ("firsttoken.chunk", NOW, {"firsttoken.sequence": 0}),
        ("firsttoken.chunk", NOW + 10**9, {"firsttoken.sequence": 1, "firsttoken.gap": 1.0}),
    ]
    assert ours.shutdown(30)
    assert stock.closed


def test_a_stock_exporter_gets_calls_bounded_by_bytes() -> None:
    stock = Stock()
    ours = StreamSpanProcessor(exporter=stock, schedule_delay_s=60, request_bytes=200_000)
    for number in range(1, 21):
        with carrying(number, chunk_events(1000)):
            ours.on_end(span(number))
    assert ours.flush(20)
    assert [len(call) for call in stock.calls] == [2] * 10
    ours.shutdown()


@pytest.mark.parametrize(("asked", "expected"), [("", 512), ("100", 100)])
def test_a_stock_exporter_gets_calls_bounded_by_count(
    asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", asked)
    stock = Stock()
    ours = StreamSpanProcessor(exporter=stock, schedule_delay_s=60)
    for number in range(1, 1201):
        ours.on_end(span(number))
    assert ours.flush(30)
    assert max(len(call) for call in stock.calls) == expected
    assert sum(len(call) for call in stock.calls) == 1200
    ours.shutdown()


def test_a_stock_exporter_that_fails_is_believed() -> None:
    ours = StreamSpanProcessor(exporter=Stock(SpanExportResult.FAILURE), schedule_delay_s=60)
    end_spans(ours, 2)
    assert not ours.flush(30)
    assert ours.statistics().dropped == {"rejected": 2}
    ours.shutdown()


def test_what_a_stock_exporter_does_not_take_goes_to_the_spool(tmp_path: Path) -> None:
    ours = StreamSpanProcessor(
        exporter=Stock(SpanExportResult.FAILURE), schedule_delay_s=60, spool_dir=tmp_path
    )
    end_spans(ours, 2)
    assert ours.shutdown(30)
    assert ours.statistics().spooled == 2


def test_a_stock_exporter_that_hangs_keeps_nobody_waiting() -> None:
    stock = Stock()
    stock.let_go.clear()
    ours = StreamSpanProcessor(exporter=stock, schedule_delay_s=60)
    end_spans(ours, 2)
    assert not ours.shutdown(0.3)
    assert ours.statistics().dropped == {"shutdown": 2}
    assert len(stock.calls) == 1
    stock.let_go.set()


def test_grpc_is_left_to_the_stock_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    grpc = types.ModuleType("trace_exporter")
    grpc.OTLPSpanExporter = Stock
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc", types.ModuleType("grpc"))
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", grpc)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    ours = StreamSpanProcessor(schedule_delay_s=60)
    end_spans(ours, 2)
    assert ours.shutdown(30)
    assert set(ours.statistics().requests) == {"success"}


@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_a_protocol_that_nobody_speaks_is_told(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    assert stock_exporter(protocol) is None
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in caplog.text

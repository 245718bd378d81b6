"""What is read back from an exported span is what was told."""

from __future__ import annotations

import pytest

import firsttoken
from firsttoken.cli._told import told_of
from firsttoken.cli._wire import scripted
from tests.conftest import Traces


@pytest.fixture
def traces() -> Traces:
    return Traces(max_events=1000)


def test_a_span_is_read_back_in_numbers(traces: Traces) -> None:
    pieces = list(scripted(seed=1, number=1, duration_s=1.0))
    stream = firsttoken.trace_stream([piece.data for piece in pieces], tracer_provider=traces.provider)
    for _ in stream:
        pass
    told, summary = told_of(traces.span()), stream.summary
    assert summary is not None
    assert (told.trace_id, told.span_id) == (stream.trace_id, stream.span_id)
    assert told.outcome == "completed"
    assert told.chunk_count == told.chunk_event_count == len(told.arrivals_s) == len(pieces)
    assert told.output_tokens == len(pieces) - 4
    assert told.finish_reasons == ("stop",)
    assert told.started_ns == summary.started_ns
    assert told.duration_s == pytest.approx(summary.duration_ns / 1e9)
    assert told.time_to_first_token_s == pytest.approx((summary.time_to_first_token_ns or 0) / 1e9)
    assert list(told.arrivals_s) == sorted(told.arrivals_s)


def test_stalls_are_read_back_with_their_cause(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    from firsttoken._runtime import Runtime, default_runtime
    from firsttoken._settings import Settings

    runtime = Runtime(Settings(stall_threshold_s=1e-9), tracer_provider=traces.provider)
    monkeypatch.setattr("firsttoken._stream.default_runtime", lambda: runtime)
    assert default_runtime() is not runtime
    for _ in firsttoken.trace_stream(["one ", "two "], decoder="text"):
        pass
    assert runtime.flush(10)
    stalls = told_of(traces.exporter.get_finished_spans()[0]).stalls
    assert stalls
    for stall in stalls:
        assert stall.cause in {"provider", "consumer"}
        assert stall.duration_s == pytest.approx(stall.wait_s + stall.hold_s + stall.loop_blocked_s)
        assert stall.at_s > 0
        assert stall.file is None
    runtime.shutdown(10)


def test_a_stream_without_a_token_is_read_back_without_one(traces: Traces) -> None:
    for _ in firsttoken.trace_stream([b""], tracer_provider=traces.provider):
        pass
    told = told_of(traces.span())
    assert told.time_to_first_token_s is None
    assert told.output_tokens is None
    assert told.gap_max_s is None
    assert told.stalls == ()

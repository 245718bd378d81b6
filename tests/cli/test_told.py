"""What is read back from an exported span is what was told."""

from __future__ import annotations

import pytest

import firsttoken
from firsttoken import semconv
from firsttoken.cli._told import ToldStall, told_of
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


def test_stalls_are_read_back_with_their_cause_and_place(traces: Traces) -> None:
    span = traces.provider.get_tracer("firsttoken").start_span("chat", start_time=1_000_000_000)
    said = {
        semconv.STALL_CAUSE: "event_loop",
        semconv.STALL_DURATION: 0.5,
        semconv.WAIT: 0.1,
        semconv.HOLD: 0.0,
        semconv.LOOP_BLOCKED: 0.4,
    }
    place = {
        semconv.CODE_FILE_PATH: "/a/chat.py",
        semconv.CODE_LINE_NUMBER: 88,
        semconv.CODE_FUNCTION_NAME: "save_log",
    }
    span.add_event(semconv.EVENT_STALL, {**said, **place}, timestamp=2_500_000_000)
    span.add_event(semconv.EVENT_STALL, said, timestamp=3_000_000_000)
    span.end(end_time=4_000_000_000)
    (finished,) = traces.exporter.get_finished_spans()
    assert told_of(finished).stalls == (
        ToldStall(1.5, 0.5, "event_loop", 0.1, 0.0, 0.4, "/a/chat.py", 88, "save_log"),
        ToldStall(2.0, 0.5, "event_loop", 0.1, 0.0, 0.4, None, None, None),
    )


def test_a_stream_without_a_token_is_read_back_without_one(traces: Traces) -> None:
    for _ in firsttoken.trace_stream([b""], tracer_provider=traces.provider):
        pass
    told = told_of(traces.span())
    assert told.time_to_first_token_s is None
    assert told.output_tokens is None
    assert told.gap_max_s is None
    assert told.stalls == ()

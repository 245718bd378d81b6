"""The demo's spans: read back in numbers, and linked to where a person can look at them."""

from __future__ import annotations

import pytest

import firsttoken
from firsttoken.cli._plan import Role
from firsttoken.cli._report import worst_of
from firsttoken.cli._traces import told as told_of
from firsttoken.cli._wire import scripted
from tests.conftest import Traces

from .scenes import row, told


@pytest.fixture
def traces() -> Traces:
    return Traces(max_events=1000)


def test_a_span_is_read_back_in_numbers(traces: Traces) -> None:
    pieces = list(scripted(seed=1, number=1, duration_s=1.0))
    stream = firsttoken.trace_stream([piece.data for piece in pieces], tracer_provider=traces.provider)
    for _ in stream:
        pass
    said, summary = told_of(traces.span()), stream.summary
    assert summary is not None
    assert (said.trace_id, said.span_id) == (stream.trace_id, stream.span_id)
    assert said.outcome == "completed"
    assert said.chunk_count == said.chunk_event_count == len(said.arrivals_s) == len(pieces)
    assert said.output_tokens == len(pieces) - 4
    assert said.finish_reasons == ("stop",)
    assert said.started_ns == summary.started_ns
    assert said.duration_s == pytest.approx(summary.duration_ns / 1e9)
    assert said.time_to_first_token_s == pytest.approx((summary.time_to_first_token_ns or 0) / 1e9)
    assert said.stall_threshold_s == summary.stall_threshold_ns / 1e9
    assert (said.operation, said.done_marker) == ("chat", "[DONE]")
    assert list(said.arrivals_s) == sorted(said.arrivals_s)


def test_a_stream_without_a_token_is_read_back_without_one(traces: Traces) -> None:
    for _ in firsttoken.trace_stream([b""], tracer_provider=traces.provider):
        pass
    said = told_of(traces.span())
    assert said.time_to_first_token_s is None
    assert said.output_tokens is None
    assert said.gap_max_s is None
    assert said.stalls == ()


def test_the_stream_most_worth_a_look_stood_still_the_longest() -> None:
    slow, stalled = told(time_to_first_token_s=3.0), told(gap_max_s=1.5)
    silent = told(gap_max_s=None, time_to_first_token_s=None)
    rows = [row(Role.HEALTHY, slow), row(Role.SLOW, stalled), row(Role.BROKEN, silent)]
    assert worst_of(rows) is stalled
    assert worst_of([rows[0], rows[2]]) is slow
    assert worst_of([row(Role.HEALTHY, None)]) is None

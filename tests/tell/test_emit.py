"""Telling: the promised keys in seconds, absent where unknown, and events that fit every span's limit."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import INVALID_SPAN, StatusCode

from firsttoken import StreamSummary, decode_timeline, semconv
from firsttoken._record.record import Ending
from firsttoken._tell.emit import (
    Finished,
    attributes_of,
    carrier_for,
    fit,
    milestones_of,
    output_messages,
    tell,
)
from firsttoken._think.chunk_events import ChunkEvents
from firsttoken._think.timeline import encode_timeline
from firsttoken.blocking import LoopBlock
from firsttoken.decoders import Done, Finish, Identity, Reasoning, StreamError, Text, Usage
from firsttoken.summary import summarize
from tests.scenes import MS, Paper, S, evenly


def nothing() -> None:
    return None


def finished_of(paper: Paper, messages: str | None = None, **options: Any) -> Finished:
    record, tally = paper.tallied()
    summary = summarize(record, tally, operation="chat", **options)
    timeline = encode_timeline(tally.arrivals, record.issued_ns, nothing)
    return Finished(summary, ChunkEvents(array("q", tally.arrivals)), timeline, messages)


def told(finished: Finished, *, error_outcomes: tuple[str, ...] = ("failed",), **limits: Any) -> Any:
    packed = limits.pop("packed", False)
    span = (
        TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(**limits))
        .get_tracer("t")
        .start_span("s")
    )
    tell(span, finished, packed=packed, error_outcomes=error_outcomes, breathe=nothing)
    span.end()
    return span


def answer(count: int = 3, *more: Any, **paper: Any) -> Paper:
    end = (count + 1) * 10 * MS
    return Paper([*evenly(count, 10 * MS), (end, end, (*more, Finish("stop"), Done("[DONE]")))], **paper)


def test_every_promised_attribute_is_told_in_seconds() -> None:
    chunks: list[Any] = [
        (500 * MS, 510 * MS, (Identity(id="r1", model="m1"),)),
        (600 * MS, 600 * MS, (Reasoning("hm"),)),
        (700 * MS, 700 * MS, (Text("a"),)),
        (2700 * MS, 2700 * MS, (Text("b"),)),
        (2800 * MS, 2800 * MS, (Usage(7, 3, 1, 2, 1), Finish("stop"), Done("[DONE]"))),
    ]
    finished = finished_of(Paper(chunks, pulled_ns=300 * MS), provider="acme", model="asked")
    attributes = attributes_of(finished)
    assert decode_timeline(attributes.pop(semconv.TIMELINE)) == [
        500_000,
        600_000,
        700_000,
        2_700_000,
        2_800_000,
    ]
    for percentile in (semconv.GAP_P95, semconv.GAP_P99):
        assert attributes.pop(percentile) == pytest.approx(2.0, rel=0.004)
    assert attributes.pop(semconv.GAP_P50) == pytest.approx(0.1, rel=0.004)
    assert attributes == {
        "gen_ai.provider.name": "acme",
        "gen_ai.response.id": "r1",
        "gen_ai.response.model": "m1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 1,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "firsttoken.outcome": "completed",
        "firsttoken.time_to_first_token": 0.6,
        "firsttoken.time_to_first_answer": 0.7,
        "firsttoken.chunk.count": 5,
        "firsttoken.gap.max": 2.0,
        "firsttoken.stall.count": 1,
        "firsttoken.stall.threshold": 1.0,
        "firsttoken.wait": 2.49,
        "firsttoken.hold": 0.31,
        "firsttoken.hold_before_first_token": 0.31,
        "firsttoken.loop_blocked": 0.0,
        "firsttoken.time_per_output_token": 1.05,
        "firsttoken.tokens_per_second": pytest.approx(1 / 1.05),
    }


def test_what_is_not_known_is_left_out() -> None:
    attributes = attributes_of(finished_of(Paper(ending=Ending.CANCELLED)))
    assert attributes == {
        "firsttoken.outcome": "cancelled",
        "firsttoken.chunk.count": 0,
        "firsttoken.stall.count": 0,
        "firsttoken.stall.threshold": 1.0,
        "firsttoken.wait": 0.0,
        "firsttoken.hold": 0.0,
        "firsttoken.loop_blocked": 0.0,
    }


def test_milestones_are_in_order_of_time() -> None:
    chunks: list[Any] = [
        (S, S, (Text("a"),)),
        (4 * S, 4 * S, (Text("b"),)),
        (5 * S, 5 * S, (Done("[DONE]"),)),
    ]
    events = milestones_of(finished_of(Paper(chunks)).summary)
    assert [(time_ns, name) for time_ns, name, _ in events] == [
        (S, "firsttoken.first_token"),
        (S, "firsttoken.stall"),
        (5 * S, "firsttoken.done"),
    ]
    stall = events[1][2]
    assert stall["firsttoken.stall.cause"] == "provider"
    assert stall["firsttoken.stall.duration"] == 3.0
    assert events[2][2] == {"firsttoken.done.marker": "[DONE]"}


def test_a_stall_of_the_loop_names_the_line() -> None:
    paper = Paper([(S, S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))])
    finished = finished_of(paper, blocks=[held(2 * S, 4 * S)])
    events = milestones_of(finished.summary)
    (details,) = [details for _, name, details in events if name == "firsttoken.stall"]
    assert details == {
        "firsttoken.sequence": 1,
        "firsttoken.stall.cause": "event_loop",
        "firsttoken.stall.duration": 3.0,
        "firsttoken.stall.share": 0.6667,
        "firsttoken.wait": 1.0,
        "firsttoken.hold": 0.0,
        "firsttoken.loop_blocked": 2.0,
        "firsttoken.loop_block.kind": "io",
        "firsttoken.loop_block.thread": "worker 1",
        "code.file.path": "app.py",
        "code.line.number": 7,
        "code.function.name": "save_log",
    }


def held(began_ns: int, ended_ns: int) -> LoopBlock:
    where = ("app.py", 7, "save_log", ("app.py:1 main", "app.py:7 save_log"))
    return LoopBlock(1, began_ns, ended_ns, *where, "io", 1.0, "worker 1")


def test_every_block_of_the_loop_is_an_event_and_the_line_that_cost_most_is_on_the_span() -> None:
    paper = Paper([(S, S, (Text("a"),)), (4 * S, 4 * S, (Text("b"),))])
    finished = finished_of(paper, blocks=[held(2 * S, 2 * S + 60 * MS), held(3 * S + 500 * MS, 5 * S)])
    events = [event for event in milestones_of(finished.summary) if event[1] == "firsttoken.loop_block"]
    assert [event[0] for event in events] == [2 * S, 3 * S + 500 * MS]
    assert events[1][2] == {
        "firsttoken.loop_block.kind": "io",
        "firsttoken.loop_block.duration": 1.5,
        "firsttoken.loop_blocked": 0.5,
        "firsttoken.loop_block.thread": "worker 1",
        "code.file.path": "app.py",
        "code.line.number": 7,
        "code.function.name": "save_log",
        "code.stacktrace": "app.py:1 main\napp.py:7 save_log",
    }
    assert "code.stacktrace" not in events[0][2]
    attributes = attributes_of(finished)
    assert attributes["firsttoken.loop_block.count"] == 2
    assert attributes["firsttoken.loop_block.culprit"] == "app.py:7 save_log"
    assert attributes["firsttoken.loop_block.share"] == pytest.approx(0.14)


def test_loop_blocks_give_way_before_stalls() -> None:
    paper = Paper(evenly(3, 2 * S))
    blocks = [held(2 * S + n * 100 * MS, 2 * S + n * 100 * MS + 60 * MS) for n in range(10)]
    names = [event.name for event in told(finished_of(paper, blocks=blocks), max_events=4).events]
    assert names.count("firsttoken.stall") == 2
    assert names.count("firsttoken.loop_block") == 1


def test_chunk_events_carry_sequence_and_gap() -> None:
    events = told(finished_of(answer(2)), max_events=100).events
    chunks = [event for event in events if event.name == "firsttoken.chunk"]
    assert [dict(event.attributes) for event in chunks] == [
        {"firsttoken.sequence": 0},
        {"firsttoken.sequence": 1, "firsttoken.gap": 0.01},
        {"firsttoken.sequence": 2, "firsttoken.gap": 0.01},
    ]
    assert [event.timestamp for event in chunks] == [10 * MS, 20 * MS, 30 * MS]


@pytest.mark.parametrize("limit", [128, 16, 2, None, 1, 3, 8])
@pytest.mark.parametrize("count", [1, 201, 4999])
def test_events_fit_the_spans_own_limit_and_the_first_token_stays(limit: int | None, count: int) -> None:
    # The SDK reads None as "from the environment": SpanLimits.UNSET is its word for no limit.
    span = told(finished_of(answer(count)), max_events=SpanLimits.UNSET if limit is None else limit)
    names = [event.name for event in span.events]
    assert span.dropped_events == 0
    assert names.count("firsttoken.first_token") == 1
    assert names.count("firsttoken.done") == (0 if limit == 1 else 1)
    events = [event for event in span.events if event.name == "firsttoken.chunk"]
    if limit is None or limit > count + 20:
        assert len(events) == count + 1
    if events:
        assert sum(event.attributes.get("firsttoken.coalesced", 1) for event in events) == count + 1
    times = [event.timestamp for event in span.events]
    assert times == sorted(times)


def stalling(count: int) -> Paper:
    return Paper(
        [*evenly(count, 2 * S), (2 * S * count + MS, None, (StreamError(type="overloaded"),))],
        ending=Ending.EXHAUSTED,
    )


@pytest.mark.parametrize("limit", [128, 16, 4, 2])
def test_stalls_give_way_before_the_first_token_and_the_error(limit: int) -> None:
    span = told(finished_of(stalling(200)), max_events=limit)
    names = [event.name for event in span.events]
    assert span.dropped_events == 0
    assert names[0] == "firsttoken.first_token"
    assert names[-1] == "firsttoken.error"
    assert names.count("firsttoken.stall") == {128: 118, 16: 12, 4: 2, 2: 0}[limit]


def test_the_earliest_stalls_are_the_ones_kept() -> None:
    span = told(finished_of(stalling(50)), max_events=16)
    kept = [event.timestamp for event in span.events if event.name == "firsttoken.stall"]
    assert kept == [2 * S * (index + 1) for index in range(len(kept))]


def test_packed_milestones_fit_the_limit_as_well() -> None:
    span = told(finished_of(stalling(200)), packed=True, max_events=128)
    assert span.events[0].name == "firsttoken.first_token"
    assert span.dropped_events == 0


def test_packed_the_span_gets_the_milestones_alone() -> None:
    span = told(finished_of(answer(500)), packed=True, max_events=128)
    assert [event.name for event in span.events] == ["firsttoken.first_token", "firsttoken.done"]


def test_events_of_the_users_own_are_not_pushed_out() -> None:
    span = (
        TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_events=128))
        .get_tracer("t")
        .start_span("s")
    )
    for number in range(20):
        span.add_event(f"mine {number}")
    tell(span, finished_of(answer(500)), error_outcomes=(), breathe=nothing)
    for number in range(5):
        span.add_event(f"late {number}")
    span.end()
    assert span.dropped_events == 0
    assert span.events[0].name == "mine 0"


def test_fit_without_a_limit_keeps_all() -> None:
    events = milestones_of(finished_of(answer(3)).summary)
    assert fit(events, None)[0] == events


def test_a_span_that_records_nothing_is_told_without_a_fault() -> None:
    tell(INVALID_SPAN, finished_of(answer(500)), error_outcomes=(), breathe=nothing)


@pytest.mark.parametrize(
    ("error_outcomes", "status"),
    [(("failed",), StatusCode.UNSET), (("failed", "truncated"), StatusCode.ERROR), ((), StatusCode.UNSET)],
)
def test_the_status_is_error_for_the_outcomes_that_say_so(
    error_outcomes: tuple[str, ...], status: StatusCode
) -> None:
    finished = finished_of(Paper(evenly(2, MS)), has_finish=True)
    assert finished.summary.outcome.value == "truncated"
    assert told(finished, error_outcomes=error_outcomes).status.status_code is status


def test_a_failure_is_an_error_with_its_type() -> None:
    span = told(finished_of(Paper(evenly(2, MS, (StreamError(type="overloaded"),)))))
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "overloaded"
    (error,) = [event for event in span.events if event.name == "firsttoken.error"]
    assert dict(error.attributes) == {"error.type": "overloaded"}


def test_the_message_of_an_error_is_content_and_stays_out() -> None:
    span = told(finished_of(Paper(evenly(2, MS, (StreamError(type="x", message="my secret"),)))))
    assert "my secret" not in span.to_json()


def test_captured_text_has_the_form_of_the_convention() -> None:
    finished = finished_of(answer(1, Text("b", choice=1), Finish("length", choice=1)))
    spoken = {(1, "text"): "Second", (0, "text"): "Hello – wörld", (0, "reasoning"): "hm"}
    messages = output_messages(spoken, {0: "stop", 1: "length"})
    assert json.loads(messages) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "Hello – wörld"},
            ],
            "finish_reason": "stop",
        },
        {"role": "assistant", "parts": [{"type": "text", "content": "Second"}], "finish_reason": "length"},
    ]
    span = told(Finished(finished.summary, finished.chunk_events, finished.timeline, messages))
    assert span.attributes["gen_ai.output.messages"] == messages


def test_each_message_has_the_reason_of_its_own_choice() -> None:
    (message,) = json.loads(output_messages({(1, "text"): "b"}, {1: "length"}))
    assert message["finish_reason"] == "length"


def test_captured_text_goes_with_its_chunk() -> None:
    finished = finished_of(answer(2))
    events = ChunkEvents(finished.chunk_events.times_ns, texts=["Hel", "lo", ""])
    span = told(Finished(finished.summary, events, finished.timeline))
    texts = [
        event.attributes.get("firsttoken.text") for event in span.events if event.name == "firsttoken.chunk"
    ]
    assert texts == ["Hel", "lo", None]


def test_without_our_exporter_chunk_events_go_by_the_span() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    carrier = carrier_for(provider)
    assert not carrier.all
    with carrier.carrying(provider.get_tracer("t").start_span("s"), ChunkEvents.none()):
        pass


def test_a_summary_is_told_as_it_is() -> None:
    finished = finished_of(answer())
    assert isinstance(finished.summary, StreamSummary)
    assert tell(INVALID_SPAN, finished, error_outcomes=(), breathe=nothing) == attributes_of(finished)

"""The summary: the outcome table of the design, and times, tokens and reasons that are true or absent."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken import Outcome, StreamSummary
from firsttoken._record.record import Detail, Ending
from firsttoken.decoders import (
    Done,
    Finish,
    Identity,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    Undecoded,
    Usage,
)
from firsttoken.summary import outcome_of, summarize
from tests.scenes import MS, Paper, S, evenly


def summary_of(paper: Paper, **options: Any) -> StreamSummary:
    record, tally = paper.tallied()
    return summarize(record, tally, operation="chat", **{"has_done": True, "has_finish": True, **options})


def said(*deltas: Any, **options: Any) -> StreamSummary:
    """Summarize a stream of one delta a chunk, 10 ms apart."""
    chunks = [
        (10 * MS * (index + 1), 10 * MS * (index + 1), (delta,)) for index, delta in enumerate(deltas)
    ]
    paper = {key: options.pop(key) for key in ("ending", "error_type", "detail") if key in options}
    return summary_of(Paper(chunks, **paper), **options)


TABLE = [
    # ending, done seen, not seen (the format has an end mark), not seen (it has none)
    (Ending.EXHAUSTED, Outcome.COMPLETED, Outcome.TRUNCATED, Outcome.COMPLETED),
    (Ending.CLOSED, Outcome.COMPLETED, Outcome.ABANDONED, Outcome.ABANDONED),
    (Ending.CANCELLED, Outcome.COMPLETED, Outcome.CANCELLED, Outcome.CANCELLED),
    (Ending.RAISED, Outcome.FAILED, Outcome.FAILED, Outcome.FAILED),
    (None, Outcome.COMPLETED, Outcome.INTERRUPTED, Outcome.INTERRUPTED),
]


@pytest.mark.parametrize(("ending", "seen", "due", "without"), TABLE)
def test_ending_and_end_mark_together_name_the_outcome(
    ending: Ending | None, seen: Outcome, due: Outcome, without: Outcome
) -> None:
    assert outcome_of(ending, said_end=True, says_end=True, said_error=False) is seen
    assert outcome_of(ending, said_end=False, says_end=True, said_error=False) is due
    assert outcome_of(ending, said_end=False, says_end=False, said_error=False) is without
    for said_end in (True, False):
        assert outcome_of(ending, said_end=said_end, says_end=True, said_error=True) is Outcome.FAILED


def test_an_outcome_reads_as_its_word() -> None:
    assert [str(outcome) for outcome in Outcome] == [
        "completed", "truncated", "abandoned", "cancelled", "failed", "interrupted",
    ]  # fmt: skip


def test_a_role_only_first_chunk_is_no_first_token_and_reasoning_no_answer() -> None:
    summary = said(Identity(id="x", model="m"), Reasoning("hm"), Text("so"), Finish("stop"), Done("[DONE]"))
    assert summary.time_to_first_chunk_ns == 10 * MS
    assert summary.time_to_first_token_ns == 20 * MS
    assert summary.time_to_first_answer_ns == 30 * MS
    assert (summary.first_token_sequence, summary.chunk_count, summary.content_chunk_count) == (1, 5, 2)
    assert (summary.response_id, summary.response_model) == ("x", "m")


@pytest.mark.parametrize("delta", [Refusal("no"), ToolCall(0, arguments="{"), Text("yes")])
def test_a_refusal_a_tool_call_and_text_are_an_answer(delta: Any) -> None:
    assert said(delta).time_to_first_answer_ns == 10 * MS


def test_a_stream_that_only_reasons_has_a_first_token_and_no_answer() -> None:
    summary = said(Reasoning("hm"), Finish("length"))
    assert (summary.time_to_first_token_ns, summary.time_to_first_answer_ns) == (10 * MS, None)


def test_a_consumer_that_starts_late_is_told_apart() -> None:
    chunks = [(350 * MS, 360 * MS, (Identity(id="x"),)), (400 * MS, 400 * MS, (Text("a"),))]
    summary = summary_of(Paper(chunks, pulled_ns=300 * MS))
    assert summary.time_to_first_token_ns == 400 * MS
    assert summary.hold_before_first_token_ns == 310 * MS
    assert (summary.wait_ns, summary.hold_ns) == (90 * MS, 310 * MS)


def test_what_never_came_is_absent() -> None:
    summary = said(ending=Ending.CANCELLED)
    absent = [
        "time_to_first_chunk_ns", "time_to_first_token_ns", "time_to_first_answer_ns",
        "first_token_sequence", "hold_before_first_token_ns", "gap_p50_ns", "gap_p95_ns", "gap_p99_ns",
        "gap_max_ns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens",
        "reasoning_tokens", "done_ns",
        "time_per_output_token_ns", "tokens_per_second", "response_id", "response_model", "done_marker",
        "error_type", "error_message", "provider", "request_model",
    ]  # fmt: skip
    assert {name: getattr(summary, name) for name in absent} == dict.fromkeys(absent)
    assert (summary.chunk_count, summary.outcome) == (0, Outcome.CANCELLED)


def test_a_single_token_has_no_gap() -> None:
    summary = said(Text("a"), Finish("stop"))
    assert (summary.gap_max_ns, summary.gap_p50_ns) == (None, None)


def test_hold_is_absent_where_it_was_not_marked() -> None:
    assert said(Text("a"), detail=Detail.ARRIVALS).hold_ns is None
    assert said(Text("a")).hold_ns == 0


def test_a_stream_cut_off_is_truncated_and_its_missing_reason_an_error() -> None:
    summary = said(Text("a"))
    assert (summary.outcome, summary.finish_reasons) == (Outcome.TRUNCATED, ("error",))


def test_without_an_end_mark_in_the_format_exhaustion_is_completion() -> None:
    summary = said(Text("a"), has_done=False, has_finish=False)
    assert (summary.outcome, summary.finish_reasons) == (Outcome.COMPLETED, ())


def test_every_choice_has_its_reason_and_the_missing_one_is_an_error() -> None:
    both = said(Text("a"), Text("b", choice=1), Finish("length", choice=1), Finish("stop"))
    assert (both.outcome, both.finish_reasons) == (Outcome.COMPLETED, ("stop", "length"))
    one = said(Text("a"), Text("b", choice=1), Finish("length", choice=1))
    assert (one.outcome, one.finish_reasons) == (Outcome.TRUNCATED, ("error", "length"))


def test_leaving_after_the_done_event_abandons_nothing() -> None:
    summary = said(Text("a"), Finish("stop"), Done("[DONE]"), ending=Ending.CLOSED)
    assert (summary.outcome, summary.done_marker) == (Outcome.COMPLETED, "[DONE]")
    assert summary.done_ns == summary.ended_ns == 30 * MS
    assert summary.duration_ns == 30 * MS


def test_nothing_understood_is_not_called_truncated() -> None:
    assert said(Undecoded("?")).outcome is Outcome.COMPLETED
    assert said(Undecoded("?")).undecoded_count == 1


def test_an_error_told_in_the_stream_is_its_failure() -> None:
    summary = said(Text("a"), StreamError(type="overloaded_error", code="529", message="try later"))
    assert (summary.outcome, summary.error_type, summary.error_message) == (
        Outcome.FAILED, "overloaded_error", "try later",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(StreamError(code="529"), "529"), (StreamError(message="?"), "stream_error")],
)
def test_an_error_without_a_type_is_called_by_its_code_or_by_what_it_is(
    error: StreamError, error_type: str
) -> None:
    assert said(error).error_type == error_type


def test_an_exception_of_the_source_is_the_failure() -> None:
    summary = said(Text("a"), ending=Ending.RAISED, error_type="httpx.ReadError")
    assert (summary.outcome, summary.error_type) == (Outcome.FAILED, "httpx.ReadError")


def test_usage_is_what_was_sent_and_a_sent_zero_is_0() -> None:
    summary = said(Text("a"), Usage(input=7, output=0))
    assert (summary.input_tokens, summary.output_tokens, summary.reasoning_tokens) == (7, 0, None)


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (Usage(input=10, cache_read=5, cache_creation=2, input_excludes_cache=True), 17),
        (Usage(input=10, cache_read=5, cache_creation=2), 10),
        (Usage(input=10, input_excludes_cache=True), 10),
        (Usage(cache_read=5, input_excludes_cache=True), None),
    ],
)
def test_cache_reads_and_writes_are_part_of_the_input(usage: Usage, total: int | None) -> None:
    assert said(usage).input_tokens == total


def test_time_per_output_token_counts_the_tokens_between_first_and_last_content() -> None:
    summary = summary_of(Paper([*evenly(5, 100 * MS), (S, S, (Usage(output=9), Finish("stop")))]))
    assert summary.time_per_output_token_ns == 50 * MS
    assert summary.tokens_per_second == 20.0


@pytest.mark.parametrize("output", [None, 0, 1])
def test_time_per_output_token_needs_two_tokens(output: int | None) -> None:
    assert said(Text("a"), Text("b"), Usage(output=output)).time_per_output_token_ns is None


def test_stalls_are_counted_and_told() -> None:
    paper = Paper([(S, S, (Text("a"),)), (3 * S, 3 * S, (Text("b"),)), (6 * S, 6 * S, (Text("c"),))])
    summary = summary_of(paper, has_done=False, has_finish=False)
    assert [stall.sequence for stall in summary.stalls] == [1, 2]
    assert (summary.stall_count, summary.stall_threshold_ns) == (2, S)
    assert summary.gap_max_ns == 3 * S


def test_more_stalls_than_are_told_are_counted() -> None:
    summary = summary_of(Paper(evenly(300, 2 * S), ending=Ending.CANCELLED, ended_ns=700 * S))
    assert (len(summary.stalls), summary.stall_count) == (257, 300)


def test_times_are_unix_times() -> None:
    record, tally = Paper(evenly(2, MS)).tallied()
    record.wall_offset_ns = 1_700_000_000 * S
    summary = summarize(record, tally, operation="chat")
    assert (summary.started_ns, summary.ended_ns) == (1_700_000_000 * S, 1_700_000_000 * S + 2 * MS)


def test_what_the_caller_said_is_kept() -> None:
    summary = said(Text("a"), provider="acme", model="tiny")
    assert (summary.operation, summary.provider, summary.request_model) == ("chat", "acme", "tiny")


def test_no_finish_reason_is_missed_where_the_format_has_none() -> None:
    summary = said(Text("a"), has_done=True, has_finish=False)
    assert (summary.outcome, summary.finish_reasons) == (Outcome.TRUNCATED, ())

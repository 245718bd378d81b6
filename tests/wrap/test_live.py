"""A live stream: swept in pieces, concluded once, and no fault of a decoder or predicate goes further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firsttoken import Outcome, StreamSummary, decode_timeline
from firsttoken._guard import fault_counts
from firsttoken._record.record import Detail, Ending
from firsttoken._settings import Settings
from firsttoken._wrap.live import LINGER_NS, SETTLE_NS, LiveStream, Request
from firsttoken.decoders import Done, Text, Usage, decoder_for
from tests.scenes import MS, ManualClock, Paper, S, bare_record, chat, chat_chunk, messages


def nothing() -> None:
    return None


class Stream:
    """A live stream whose chunks come when the test says so."""

    def __init__(self, clock: ManualClock, request: Request | None = None, **settings: Any) -> None:
        self.clock = clock
        self.record = bare_record(Detail.FULL)
        self.live = LiveStream(request or Request(), Settings(**settings), self.record)
        self.record.begin_pulling()

    def feed(self, *chunks: Any, after_s: float = 0.01) -> Stream:
        for chunk in chunks:
            self.clock.advance(after_s)
            self.record.arrived(chunk)
            self.record.resumed()
        return self

    def end(self, error: BaseException | None = None) -> Stream:
        self.record.end(error)
        return self

    def told(self) -> StreamSummary:
        assert self.live.sweep(nothing)
        assert self.live.summary is not None
        return self.live.summary


def test_a_chat_stream_is_understood_whole(clock: ManualClock) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    summary = Stream(clock).feed(*chat("Hel", "lo", usage=usage)).end().told()
    assert summary.outcome is Outcome.COMPLETED
    assert (summary.response_id, summary.response_model) == ("chatcmpl-1", "tiny-1")
    assert (summary.input_tokens, summary.output_tokens, summary.reasoning_tokens) == (7, 3, None)
    assert summary.finish_reasons == ("stop",)
    assert (summary.time_to_first_chunk_ns, summary.time_to_first_token_ns) == (10 * MS, 20 * MS)


def test_a_role_only_first_chunk_and_reasoning_are_told_apart(clock: ManualClock) -> None:
    chunks = [
        chat_chunk(role="assistant"),
        chat_chunk(reasoning="hm"),
        chat_chunk("so"),
        chat_chunk(finish="stop"),
    ]
    summary = Stream(clock).feed(*chunks).end().told()
    assert summary.time_to_first_chunk_ns == 10 * MS
    assert summary.time_to_first_token_ns == 20 * MS
    assert summary.time_to_first_answer_ns == 30 * MS


def test_two_choices_have_two_reasons(clock: ManualClock) -> None:
    chunks = [
        chat_chunk("a"),
        chat_chunk("b", choice=1),
        chat_chunk(finish="length", choice=1),
        chat_chunk(finish="stop"),
    ]
    assert Stream(clock).feed(*chunks).end().told().finish_reasons == ("stop", "length")
    cut = Stream(clock).feed(*chunks[:-1]).end().told()
    assert (cut.outcome, cut.finish_reasons) == (Outcome.TRUNCATED, ("error", "length"))


def test_a_chat_stream_without_its_finish_is_truncated(clock: ManualClock) -> None:
    summary = Stream(clock).feed(*chat("Hel", finish=None)).end().told()
    assert (summary.outcome, summary.finish_reasons) == (Outcome.TRUNCATED, ("error",))
    assert (summary.input_tokens, summary.output_tokens) == (None, None)


def test_anthropics_input_counts_cache_reads_and_writes(clock: ManualClock) -> None:
    summary = Stream(clock).feed(*messages("Hel", "lo", cached=5, written=2)).end().told()
    assert (summary.input_tokens, summary.cache_read_tokens, summary.cache_creation_tokens) == (17, 5, 2)
    assert (summary.output_tokens, summary.outcome) == (2, Outcome.COMPLETED)
    assert summary.done_marker == "message_stop"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_bytes_of_the_wire_may_be_cut_anywhere(size: int, clock: ManualClock) -> None:
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chat("Hel", "lo"))
    body += b"data: [DONE]\n\n"
    pieces = [body[begin : begin + size] for begin in range(0, len(body), size)]
    summary = Stream(clock).feed(*pieces).end().told()
    assert (summary.outcome, summary.done_marker, summary.content_chunk_count > 0) == (
        Outcome.COMPLETED, "[DONE]", True,
    )  # fmt: skip


def test_memory_is_given_back_by_a_sweep(clock: ManualClock) -> None:
    stream = Stream(clock).feed(*chat("a", "b"))
    assert not stream.live.sweep(nothing)
    assert stream.record.marks == []
    assert len(stream.live.tally.arrivals) == 4


def test_a_done_event_tells_the_stream_although_it_goes_on(clock: ManualClock) -> None:
    stream = Stream(clock, Request(decoder=lambda: decoder_for(lambda chunk: [chunk])))
    stream.feed(Text("a"), Done("end"))
    done_ns = clock.now_ns - stream.record.issued_ns
    assert not stream.live.sweep(nothing)
    stream.feed(Usage(output=2))
    assert not stream.live.sweep(nothing)
    clock.advance(LINGER_NS / S)
    summary = stream.told()
    assert (summary.outcome, summary.duration_ns, summary.output_tokens) == (Outcome.COMPLETED, done_ns, 2)
    stream.feed(Text("late")).end(ValueError())
    assert stream.live.sweep(nothing)
    assert stream.record.marks == []
    assert stream.live.summary is summary


def test_a_chunk_that_is_said_to_be_the_end_is_one(clock: ManualClock) -> None:
    stream = Stream(clock, Request(done=lambda chunk: bool(chunk == "END"))).feed("a", "END", "late")
    stream.end(GeneratorExit())
    summary = stream.told()
    assert (summary.outcome, summary.done_marker) == (Outcome.COMPLETED, "done")
    assert summary.ended_ns - summary.started_ns == 20 * MS


def test_a_stream_waits_for_news_of_its_loop_but_not_for_ever(clock: ManualClock) -> None:
    stream = Stream(clock)
    stream.live.watch_loop(lambda until_ns: False, lambda since, until: [], nothing)
    stream.feed("a").end()
    assert not stream.live.sweep(nothing)
    clock.advance(SETTLE_NS / S)
    assert stream.live.sweep(nothing)


def test_who_is_in_a_hurry_does_not_wait(clock: ManualClock) -> None:
    stream = Stream(clock)
    stream.live.watch_loop(lambda until_ns: False, lambda since, until: [], nothing)
    stream.feed("a").end()
    assert stream.live.sweep(nothing, hurry=True)


def test_a_summary_asked_for_early_is_the_one_that_is_told(clock: ManualClock) -> None:
    stream = Stream(clock).feed("a")
    assert stream.live.summary is None
    stream.end()
    summary = stream.live.summary
    assert summary is not None
    assert stream.told() is summary


def test_shutdown_tells_a_live_stream_as_interrupted(clock: ManualClock) -> None:
    stream = Stream(clock).feed("a", "b")
    stream.live.conclude(nothing)
    assert stream.live.summary is not None
    assert stream.live.summary.outcome is Outcome.INTERRUPTED
    stream.feed("c")
    stream.live.conclude(nothing)
    assert stream.record.marks == []


def test_what_was_recorded_is_told_packed(clock: ManualClock) -> None:
    stream = Stream(clock).feed("a", "b", "c").end()
    stream.told()
    finished = stream.live.finished
    assert finished is not None
    assert decode_timeline(finished.timeline) == [10_000, 20_000, 30_000]
    offset = stream.record.wall_offset_ns + stream.record.issued_ns
    assert [time_ns - offset for time_ns in finished.chunk_events.times_ns] == [10 * MS, 20 * MS, 30 * MS]


def test_chunk_events_are_coalesced_to_the_number_asked_for(clock: ManualClock) -> None:
    stream = Stream(clock, max_events=10).feed(*"a" * 500).end()
    stream.told()
    assert stream.live.finished is not None
    assert len(stream.live.finished.chunk_events) == 10
    assert len(decode_timeline(stream.live.finished.timeline)) == 500


# --- faults ---------------------------------------------------------------------------------------------


class Faults:
    """How many faults of a kind were counted since."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.before = fault_counts().get(kind, 0)

    @property
    def count(self) -> int:
        return fault_counts().get(self.kind, 0) - self.before


class BrokenDecoder:
    has_done, has_finish, provider = True, True, None

    def feed(self, chunk: Any) -> Any:
        raise RuntimeError("ours")

    def flush(self) -> Any:
        raise RuntimeError("ours")


def test_a_decoder_that_raises_loses_no_time(clock: ManualClock) -> None:
    feeding, flushing = Faults("decode a chunk"), Faults("decode the end of a stream")
    summary = Stream(clock, Request(decoder=BrokenDecoder)).feed("a", "b").end().told()
    assert (feeding.count, flushing.count) == (2, 1)
    assert (summary.chunk_count, summary.undecoded_count) == (2, 2)
    assert summary.outcome is Outcome.COMPLETED


def test_a_decoder_that_cannot_be_made_is_counted(clock: ManualClock) -> None:
    def make() -> Any:
        raise RuntimeError("ours")

    faults = Faults("decode a chunk")
    summary = Stream(clock, Request(decoder=make)).feed("a").end().told()
    assert (faults.count, summary.chunk_count) == (1, 1)


def test_a_predicate_that_raises_is_counted(clock: ManualClock) -> None:
    def done(chunk: Any) -> bool:
        raise RuntimeError("the user's")

    faults = Faults("ask `done` about a chunk")
    summary = Stream(clock, Request(done=done)).feed("a", "b").end().told()
    assert (faults.count, summary.outcome, summary.done_marker) == (2, Outcome.COMPLETED, None)


@pytest.mark.parametrize("mode", ["EVENT_ONLY", "SPAN_ONLY", "SPAN_AND_EVENT"])
def test_text_that_cannot_be_redacted_is_not_told(mode: Any, clock: ManualClock) -> None:
    def redact(text: str) -> str:
        raise RuntimeError("the user's")

    faults = Faults("redact captured text")
    stream = Stream(clock, capture_content=mode, redact=redact).feed("secret").end()
    stream.told()
    finished = stream.live.finished
    assert finished is not None
    assert faults.count >= 1
    assert finished.messages is None
    assert finished.chunk_events.texts is None


def test_captured_text_is_redacted_wherever_it_goes(clock: ManualClock) -> None:
    stream = Stream(clock, capture_content="SPAN_AND_EVENT", redact=str.upper).feed("a", "b").end()
    stream.told()
    finished = stream.live.finished
    assert finished is not None
    assert finished.messages is not None
    assert json.loads(finished.messages)[0]["parts"] == [{"type": "text", "content": "AB"}]
    assert finished.chunk_events.texts is not None
    assert "".join(finished.chunk_events.texts) == "AB"


def test_a_fault_in_the_summary_leaves_a_stream_that_is_over(clock: ManualClock) -> None:
    def blocks(since_ns: int, until_ns: int) -> Any:
        raise RuntimeError("ours")

    faults = Faults("summarize a stream")
    stream = Stream(clock)
    stream.live.watch_loop(lambda until_ns: True, blocks, nothing)
    stream.feed("a").end()
    assert stream.live.sweep(nothing)
    assert (faults.count, stream.live.summary) == (1, None)
    assert stream.live.sweep(nothing)


def test_what_a_layer_below_learned_stands_behind_what_the_caller_said() -> None:
    live = LiveStream(Request(model="asked"), Settings(), Paper(ending=Ending.CLOSED).record())
    live.learn({"gen_ai.request.model": "other", "server.address": "localhost"})
    assert live.learned == {"server.address": "localhost"}


def test_a_request_names_its_span_and_its_attributes() -> None:
    request = Request(model="m", provider="p", attributes={"user.tier": "gold", "nothing": None})
    assert request.span_name == "chat m"
    assert Request(name="mine", model="m").span_name == "mine"
    assert Request(operation="enrich").span_name == "enrich"
    assert request.start_attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "p",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "user.tier": "gold",
    }

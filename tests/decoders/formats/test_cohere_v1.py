"""Cohere chat, version 1, and generate."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats.cohere_v1 import CohereV1, is_cohere_v1
from tests.decoders.formats.hearing import Heard, hear, hear_both_ways, wire


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"is_finished": kind == "stream-end", "event_type": kind, **fields}


def text(word: str) -> dict[str, Any]:
    return event("text-generation", text=word)


def end(reason: str = "COMPLETE", **response: Any) -> dict[str, Any]:
    return event("stream-end", finish_reason=reason, response={"response_id": "r1", **response})


def heard(*events: dict[str, Any]) -> Heard:
    return hear_both_ways(CohereV1, events)


def test_the_end_repeats_the_answer_which_does_not_count_again() -> None:
    meta = {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 60, "output_tokens": 2}}
    told = heard(
        event("stream-start", generation_id="g1"),
        text("a"),
        text("b"),
        end(text="ab", generation_id="g1", meta=meta),
    )
    assert told.text == "ab"
    assert told.id == "g1"
    assert (told.usage.input, told.usage.output) == (60, 2)
    assert told.finish == {0: "COMPLETE"}
    assert told.done == ["stream-end"]


def test_the_end_counts_where_nothing_was_streamed() -> None:
    told = heard(end(text="ab", tool_calls=[{"name": "f", "parameters": {"x": 1}}]))
    assert told.text == "ab"
    assert told.calls == {(0, 0): {"name": "f", "type": "function", "arguments": {"x": 1}}}
    assert told.id == "r1"


def test_calls_in_pieces_do_not_count_again_when_told_whole() -> None:
    calls = [{"name": "f", "parameters": {"x": 1}}]
    told = heard(
        event("tool-calls-chunk", text="I will "),
        event("tool-calls-chunk", text="look."),
        event("tool-calls-chunk", tool_call_delta={"index": 0, "name": "f"}),
        event("tool-calls-chunk", tool_call_delta={"index": 0, "parameters": '{"x":'}),
        event("tool-calls-chunk", tool_call_delta={"index": 0.0, "parameters": "1}"}),
        event("tool-calls-generation", text="I will look.", tool_calls=calls),
        end(text="I will look.", tool_calls=calls),
    )
    assert (told.plan, told.text) == ("I will look.", "")
    assert told.calls == {(0, 0): {"name": "f", "type": "function", "arguments": '{"x":1}'}}


def test_calls_told_only_whole() -> None:
    calls = [{"name": "f", "parameters": {"x": 1}}, {"name": "g", "parameters": {}}]
    told = heard(event("tool-calls-generation", text="I will.", tool_calls=calls), end(tool_calls=calls))
    assert told.plan == "I will."
    assert [call["name"] for call in told.calls.values()] == ["f", "g"]


def test_searches_and_citations_are_no_text() -> None:
    told = heard(
        event("search-queries-generation", search_queries=[{"text": "q", "generation_id": "g"}]),
        event("search-results", documents=[{"id": "d", "text": "doc"}]),
        event(
            "citation-generation", citations=[{"start": 0, "end": 1, "text": "a", "document_ids": ["d"]}]
        ),
    )
    assert (told.text, told.lost) == ("", 0)


def test_several_generations_are_choices() -> None:
    generations = [
        {"id": "a", "index": 0, "text": "A", "finish_reason": "COMPLETE"},
        {"id": "b", "index": 1, "text": "B", "finish_reason": "MAX_TOKENS"},
    ]
    told = heard(
        event("text-generation", text="A", index=0),
        event("text-generation", text="B", index=1),
        event("stream-end", finish_reason="COMPLETE", response={"id": "gen", "generations": generations}),
    )
    assert told.texts == {0: "A", 1: "B"}
    assert told.finish == {0: "COMPLETE", 1: "MAX_TOKENS"}
    assert told.id == "gen"


def test_bedrock_sends_no_event_type() -> None:
    told = heard({"is_finished": False, "text": "a"}, {"is_finished": True, "finish_reason": "MAX_TOKENS"})
    assert (told.text, told.finish, told.done) == ("a", {0: "MAX_TOKENS"}, ["is_finished:true"])


def test_errors() -> None:
    assert heard(event("stream-error", err="out of memory", finish_reason="ERROR")).errors == [
        (None, None, "out of memory")
    ]
    assert heard({"message": "internal error"}).errors == [(None, None, "internal error")]


def test_shape() -> None:
    assert is_cohere_v1(None, text("a"))
    assert is_cohere_v1(None, {"is_finished": False, "text": "a"})
    assert is_cohere_v1(None, {"event_type": "stream-start"})
    assert not is_cohere_v1(None, {"event_type": "interaction.created"})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    types = pytest.importorskip("cohere.types")
    construct_type = pytest.importorskip("cohere.core.unchecked_base_model").construct_type
    payloads = [
        event("stream-start", generation_id="g1"),
        text("a"),
        event("tool-calls-chunk", tool_call_delta={"index": 0, "name": "f", "parameters": "{}"}),
        end(text="a", meta={"tokens": {"input_tokens": 3, "output_tokens": 4}}),
    ]
    objects = [construct_type(type_=types.StreamedChatResponse, object_=payload) for payload in payloads]
    assert vars(hear(CohereV1(), objects)) == vars(hear(CohereV1(), map(wire, payloads)))

"""Gemini and Vertex AI: parts, running usage, calls in pieces."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats import google
from firsttoken.decoders.formats.google import GoogleGemini, is_google_gemini
from tests.decoders.formats.hearing import Heard, hear, hear_both_ways, wire


def chunk(
    *parts: dict[str, Any], reason: str | None = None, index: int | None = None, **fields: Any
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if reason is not None:
        candidate["finishReason"] = reason
    if index is not None:
        candidate["index"] = index
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1", **fields}


def heard(*chunks: dict[str, Any]) -> Heard:
    return hear_both_ways(GoogleGemini, chunks)


def test_thoughts_are_reasoning() -> None:
    told = heard(
        chunk({"text": "hm", "thought": True}), chunk({"text": "yes"}), chunk({"text": ""}, reason="STOP")
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert told.finish == {0: "STOP"}
    assert (told.id, told.model) == ("r1", "gemini-x")
    assert told.done == []


def test_usage_is_a_running_total_whose_last_value_counts() -> None:
    told = heard(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5}),
        chunk(
            {"text": "b"},
            usageMetadata={
                "promptTokenCount": 5,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 9,
                "cachedContentTokenCount": 2,
                "totalTokenCount": 17,
            },
        ),
    )
    assert (told.usage.input, told.usage.output, told.usage.reasoning, told.usage.cache_read) == (
        5,
        3,
        9,
        2,
    )


def test_usage_without_counts_says_nothing() -> None:
    assert heard(chunk({"text": "a"}, usageMetadata={"trafficType": "ON_DEMAND"})).usages == 0


def test_a_finish_reason_in_every_chunk_is_repeated_not_final() -> None:
    told = heard(chunk({"text": "a"}, reason="STOP"), chunk({"text": "b"}, reason="MAX_TOKENS"))
    assert (told.text, told.finish) == ("ab", {0: "MAX_TOKENS"})


def test_an_unspecified_finish_reason_is_none() -> None:
    assert heard(chunk({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED")).finish == {}


def test_candidates_are_choices() -> None:
    told = heard(chunk({"text": "a"}, index=0), chunk({"text": "b"}, index=1, reason="SAFETY"))
    assert told.texts == {0: "a", 1: "b"}
    assert told.finish == {1: "SAFETY"}


def call(name: str, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **fields}}


def test_each_call_is_whole_and_counted_as_it_comes() -> None:
    told = heard(
        chunk(call("a", args={"x": 1}, id="c1"), call("a", args={"x": 2})),
        chunk({"text": "hm", "thought": True, "thoughtSignature": "c2ln"}),
        chunk(call("b")),
    )
    assert list(told.calls.values()) == [
        {"id": "c1", "name": "a", "type": "function", "arguments": {"x": 1}},
        {"name": "a", "type": "function", "arguments": {"x": 2}},
        {"name": "b", "type": "function"},
    ]


def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], "willContinue": more}}


def test_arguments_in_pieces_are_put_together() -> None:
    told = heard(
        chunk(call("book", id="c1", willContinue=True)),
        chunk(piece("$.city", stringValue="New ", willContinue=True)),
        chunk(piece("$.city", stringValue="York")),
        chunk(piece("$.rooms[0].beds", numberValue=2)),
        chunk(piece("$.rooms[0]['sea view']", boolValue=True)),
        chunk(piece("$.rooms[1].beds", numberValue=1)),
        chunk(piece("$.note", nullValue="NULL_VALUE")),
        chunk({"functionCall": {}}),
        chunk(call("other", args={})),
    )
    rooms = [{"beds": 2, "sea view": True}, {"beds": 1}]
    assert told.calls == {
        (0, 0): {
            "id": "c1",
            "name": "book",
            "type": "function",
            "arguments": {"city": "New York", "rooms": rooms, "note": None},
        },
        (0, 1): {"name": "other", "type": "function", "arguments": {}},
    }


@pytest.mark.parametrize("path", ["", "$", "$[0]", "$.a[5]", "$.a[0][9]", "$..", "$.['", "$.a" * 3000])
def test_a_path_that_leads_nowhere_loses_only_its_piece(path: str) -> None:
    told = heard(
        chunk(call("f", willContinue=True)),
        chunk(piece(path, stringValue="x")),
        chunk(piece("$.b", False, numberValue=1)),
    )
    assert told.calls[0, 0]["arguments"]["b"] == 1


def test_arguments_in_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "MAX_ARGUMENTS", 100)
    pieces = [chunk(piece("$.a", stringValue="x" * 20)) for _ in range(50)]
    told = heard(chunk(call("f", willContinue=True)), *pieces, chunk({"functionCall": {}}))
    assert 20 <= len(told.calls[0, 0]["arguments"]["a"]) <= 100


def test_a_blocked_prompt_is_why_nothing_came() -> None:
    told = heard(
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    )
    assert told.finish == {0: "PROHIBITED_CONTENT"}
    assert told.usage.input == 4


def test_an_error_in_the_stream() -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    assert heard(chunk({"text": "a"}), error).errors == [("UNAVAILABLE", "503", "overloaded")]


def test_code_and_media_are_no_text() -> None:
    told = heard(
        chunk({"executableCode": {"language": "PYTHON", "code": "1"}}),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
        chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    )
    assert (told.text, told.calls, told.lost) == ("", {}, 0)


def test_a_candidate_without_content_only_finishes() -> None:
    told = heard(
        {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, {"candidates": [{"content": {}}]}
    )
    assert (told.finish, told.lost) == ({0: "MALFORMED_FUNCTION_CALL"}, 0)


def test_shape() -> None:
    assert is_google_gemini(None, chunk({"text": "a"}))
    assert is_google_gemini(None, {"usageMetadata": {}})
    assert not is_google_gemini(None, {"type": "AIMessageChunk", "usage_metadata": {}})
    assert not is_google_gemini(None, {"candidates": ["a"]})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    types = pytest.importorskip("google.genai.types")
    payloads = [
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "a"}, call("f", args={"x": 1})),
        chunk(
            {"text": "b"}, reason="STOP", usageMetadata={"promptTokenCount": 1, "candidatesTokenCount": 2}
        ),
    ]
    objects = [types.GenerateContentResponse.model_validate(payload) for payload in payloads]
    told = hear(GoogleGemini(), objects)
    assert vars(told) == vars(hear(GoogleGemini(), map(wire, payloads)))
    assert type(told.finish[0]) is str

"""Cohere chat, version 2."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders._delta import ToolCall
from firsttoken.decoders.formats.cohere import CohereV2, is_cohere_v2
from tests.decoders.formats.hearing import DONE, Heard, hear, hear_both_ways, wire


def event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, "delta": {"message": message}}


def end(reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, **fields}}


START = {
    "type": "message-start",
    "id": "m1",
    "delta": {
        "message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    },
}


def heard(*events: dict[str, Any]) -> Heard:
    return hear_both_ways(CohereV2, events)


def test_the_lists_of_the_start_are_no_content() -> None:
    told = heard(START)
    assert (told.id, told.text, told.calls, told.lost) == ("m1", "", {}, 0)


def test_thinking_and_text() -> None:
    told = heard(
        START,
        event("content-start", 0, content={"type": "thinking", "thinking": ""}),
        event("content-delta", 0, content={"thinking": "hm"}),
        event("content-start", 1, content={"type": "text", "text": ""}),
        event("content-delta", 1, content={"text": "yes"}),
        event("citation-start", 0, citations={"start": 0, "end": 3, "text": "yes"}),
        {"type": "content-end", "index": 1},
        end(),
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert told.finish == {0: "COMPLETE"}


def test_the_tool_plan_is_neither_answer_nor_reasoning() -> None:
    told = heard(event("tool-plan-delta", tool_plan="I will "), event("tool-plan-delta", tool_plan="look."))
    assert (told.plan, told.text, told.reasoning) == ("I will look.", "", "")


def test_calls_are_told_apart_by_index() -> None:
    def start(index: int) -> dict[str, Any]:
        function = {"name": f"f{index}", "arguments": ""}
        return event(
            "tool-call-start",
            index,
            tool_calls={"id": f"c{index}", "type": "function", "function": function},
        )

    told = heard(
        start(0),
        event("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"x":'}}),
        event("tool-call-delta", 0, tool_calls={"function": {"arguments": "1}"}}),
        {"type": "tool-call-end", "index": 0},
        start(1),
        event("tool-call-delta", 1, tool_calls={"function": {"arguments": "{}"}}),
    )
    assert told.calls == {
        (0, 0): {"id": "c0", "name": "f0", "type": "function", "arguments": '{"x":1}'},
        (0, 1): {"id": "c1", "name": "f1", "type": "function", "arguments": "{}"},
    }
    assert list(CohereV2().read(start(0))) == [ToolCall(0, 0, "c0", "f0", "function", "")]


def test_usage_is_tokens_and_not_what_is_billed() -> None:
    usage = {
        "billed_units": {"input_tokens": 1, "output_tokens": 2},
        "tokens": {"input_tokens": 101, "output_tokens": 22},
        "cached_tokens": 64,
    }
    told = heard(end(usage=usage))
    assert (told.usage.input, told.usage.output, told.usage.cache_read) == (101, 22, 64)
    assert heard(end(usage={"billed_units": {"input_tokens": 1}})).usages == 0


def test_counts_that_are_floats_are_whole_numbers() -> None:
    told = heard(end(usage={"tokens": {"input_tokens": 101.0, "output_tokens": 22.0}}))
    assert (told.usage.input, told.usage.output) == (101, 22)
    assert type(told.usage.input) is int
    assert told.finish == {0: "COMPLETE"}


def test_message_end_and_done_both_end_it() -> None:
    assert hear(CohereV2(), [wire(end(), "message-end"), DONE]).done == ["message-end", "[DONE]"]


def test_errors_of_generation_and_of_transport() -> None:
    told = heard(end("ERROR", error="generation failed"))
    assert told.errors == [(None, None, "generation failed")]
    assert told.finish == {0: "ERROR"}
    assert heard({"id": "x", "message": "internal error"}).errors == [(None, None, "internal error")]


def test_shape() -> None:
    assert is_cohere_v2("message-start", START)
    assert not is_cohere_v2(None, {"type": "message_start"})
    assert not is_cohere_v2(None, {"type": "start"})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    responses = pytest.importorskip("cohere.v2.types.v2chat_stream_response")
    construct_type = pytest.importorskip("cohere.core.unchecked_base_model").construct_type
    payloads = [
        START,
        event("tool-plan-delta", tool_plan="I will."),
        event("content-delta", 0, content={"text": "yes"}),
        event(
            "tool-call-start",
            0,
            tool_calls={"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}},
        ),
        end(usage={"tokens": {"input_tokens": 3, "output_tokens": 4}}),
    ]
    objects = [
        construct_type(type_=responses.V2ChatStreamResponse, object_=payload) for payload in payloads
    ]
    assert objects[2].delta.message.content.text == "yes"
    assert vars(hear(CohereV2(), objects)) == vars(hear(CohereV2(), map(wire, payloads)))

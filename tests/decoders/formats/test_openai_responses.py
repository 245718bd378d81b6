"""OpenAI Responses: deltas count once, snapshots only where no delta came."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import KeepAlive, Text, ToolCall
from firsttoken.decoders.formats import openai_responses
from firsttoken.decoders.formats.openai_responses import OpenAIResponses, is_openai_responses
from tests.decoders.formats.hearing import DONE, Heard, hear, hear_both_ways, wire


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


def message(text: str, index: int = 0) -> dict[str, Any]:
    content = [{"type": "output_text", "annotations": [], "text": text}]
    return {"type": "message", "id": f"msg_{index}", "role": "assistant", "content": content}


def completed(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = {
        "id": "resp_1",
        "model": "gpt-x-2026",
        "status": "completed",
        "error": None,
        "output": output,
    }
    return event("completed", response={**response, **fields})


def heard(*events: dict[str, Any]) -> Heard:
    return hear_both_ways(OpenAIResponses, events)


def test_text_told_by_deltas_does_not_count_again_in_the_three_snapshots() -> None:
    told = heard(
        event("created", response={"id": "resp_1", "model": "gpt-x-2026", "status": "in_progress"}),
        event("output_item.added", output_index=0, item={"type": "message", "content": []}),
        event(
            "content_part.added", output_index=0, content_index=0, part={"type": "output_text", "text": ""}
        ),
        event("output_text.delta", output_index=0, content_index=0, delta="It "),
        event("output_text.delta", output_index=0, content_index=0, delta="rains."),
        event("output_text.done", output_index=0, content_index=0, text="It rains."),
        event("content_part.done", output_index=0, part={"type": "output_text", "text": "It rains."}),
        event("output_item.done", output_index=0, item=message("It rains.")),
        completed(message("It rains.")),
    )
    assert told.text == "It rains."
    assert (told.id, told.model) == ("resp_1", "gpt-x-2026")
    assert told.finish == {0: "completed"}
    assert told.done == ["response.completed"]


@pytest.mark.parametrize(
    "snapshots",
    [
        (
            event("output_text.done", output_index=0, content_index=0, text="whole"),
            completed(message("whole")),
        ),
        (event("content_part.done", output_index=0, part={"type": "output_text", "text": "whole"}),),
        (event("output_item.done", output_index=0, item=message("whole")), completed(message("whole"))),
        (completed(message("whole")),),
    ],
    ids=["text done", "part done", "item done", "response only"],
)
def test_each_snapshot_is_the_fallback_where_no_delta_came(snapshots: tuple[dict[str, Any], ...]) -> None:
    assert heard(*snapshots).text == "whole"


def test_a_second_item_without_deltas_is_taken_from_its_snapshot() -> None:
    told = heard(
        event("output_text.delta", output_index=0, delta="one"),
        event("output_item.done", output_index=0, item=message("one")),
        event("output_item.done", output_index=1, item=message(", two", 1)),
        completed(message("one"), message(", two", 1)),
    )
    assert told.text == "one, two"


def test_several_parts_of_an_item_told_only_at_the_end_all_count() -> None:
    item = message("a")
    item["content"] = [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]
    assert heard(event("output_item.done", output_index=0, item=item)).text == "ab"


def test_an_output_index_that_differs_between_deltas_and_response_does_not_double_the_text() -> None:
    reasoning = {"type": "reasoning", "summary": []}
    told = heard(
        event("output_text.delta", output_index=0, delta="once"), completed(reasoning, message("once"))
    )
    assert told.text == "once"


def test_summary_and_raw_reasoning_are_both_reasoning_and_not_each_other() -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "in short"}],
        "content": [{"type": "reasoning_text", "text": "at length"}],
    }
    told = heard(
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="in short"),
        event("reasoning_summary_text.done", output_index=0, summary_index=0, text="in short"),
        event("output_item.done", output_index=0, item=item),
    )
    assert told.reasoning == "in shortat length"
    assert told.text == ""


def test_a_second_summary_part_that_only_its_done_event_tells_counts() -> None:
    told = heard(
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="first"),
        event(
            "reasoning_summary_part.done",
            output_index=0,
            summary_index=0,
            part={"type": "summary_text", "text": "first"},
        ),
        event(
            "reasoning_summary_part.done",
            output_index=0,
            summary_index=1,
            part={"type": "summary_text", "text": "second"},
        ),
    )
    assert told.reasoning == "firstsecond"


def test_refusal_is_no_answer_text() -> None:
    told = heard(
        event("refusal.delta", output_index=0, content_index=0, delta="I can"),
        event("refusal.delta", output_index=0, content_index=0, delta="not."),
        event("refusal.done", output_index=0, content_index=0, refusal="I cannot."),
    )
    assert told.refusal == "I cannot."
    assert told.text == ""


def call(index: int, arguments: str, kind: str = "function_call") -> dict[str, Any]:
    key = "input" if kind == "custom_tool_call" else "arguments"
    return {
        "type": kind,
        "id": f"fc_{index}",
        "call_id": f"call_{index}",
        "name": f"tool_{index}",
        key: arguments,
    }


def test_parallel_calls_are_told_apart_by_output_index() -> None:
    told = heard(
        event("output_item.added", output_index=1, item=call(1, "")),
        event("output_item.added", output_index=2, item=call(2, "")),
        event("function_call_arguments.delta", output_index=1, item_id="x", delta='{"a":'),
        event("function_call_arguments.delta", output_index=2, item_id="x", delta="{}"),
        event("function_call_arguments.delta", output_index=1, item_id="y", delta="1}"),
        event("function_call_arguments.done", output_index=1, arguments='{"a":1}'),
        event("output_item.done", output_index=1, item=call(1, '{"a":1}')),
        event("output_item.done", output_index=2, item=call(2, "{}")),
        completed(call(1, '{"a":1}'), call(2, "{}")),
    )
    assert told.calls == {
        (0, 1): {"id": "call_1", "name": "tool_1", "type": "function", "arguments": '{"a":1}'},
        (0, 2): {"id": "call_2", "name": "tool_2", "type": "function", "arguments": "{}"},
    }


@pytest.mark.parametrize(
    "events",
    [
        (event("output_item.done", output_index=0, item=call(0, "{}")), completed(call(0, "{}"))),
        (completed(call(0, "{}")),),
        (
            event("output_item.added", output_index=0, item=call(0, "")),
            event("function_call_arguments.done", output_index=0, arguments="{}"),
            event("output_item.done", output_index=0, item=call(0, "{}")),
        ),
        (
            event("output_item.added", output_index=0, item=call(0, "{}")),
            event("output_item.done", output_index=0, item=call(0, "{}")),
        ),
    ],
    ids=["item done", "response only", "arguments done", "whole from the start"],
)
def test_a_call_that_comes_at_once_counts_once(events: tuple[dict[str, Any], ...]) -> None:
    expected = {"id": "call_0", "name": "tool_0", "type": "function", "arguments": "{}"}
    assert heard(*events).calls == {(0, 0): expected}


def test_the_start_of_a_call_is_its_first_delta() -> None:
    reader = OpenAIResponses()
    (start,) = reader.read(wire(event("output_item.added", output_index=3, item=call(3, ""))))
    assert start == ToolCall(3, id="call_3", name="tool_3", type="function")


def test_the_input_of_a_custom_tool_is_its_arguments() -> None:
    told = heard(
        event("output_item.added", output_index=0, item=call(0, "", "custom_tool_call")),
        event("custom_tool_call_input.delta", output_index=0, delta="SELECT 1"),
        event("custom_tool_call_input.done", output_index=0, input="SELECT 1"),
    )
    assert told.calls[0, 0] == {"id": "call_0", "name": "tool_0", "type": "custom", "arguments": "SELECT 1"}


def test_built_in_tools_are_no_tool_calls() -> None:
    told = heard(
        event("output_item.added", output_index=0, item={"type": "web_search_call", "id": "ws_1"}),
        event("code_interpreter_call_code.delta", output_index=1, delta="print(1)"),
        event("mcp_call_arguments.delta", output_index=2, delta="{}"),
        event("output_item.done", output_index=0, item={"type": "web_search_call", "id": "ws_1"}),
    )
    assert told.calls == {}
    assert told.text == ""
    assert told.lost == 0


def test_usage_is_that_of_the_response_and_tool_usage_is_a_decoy() -> None:
    usage = {
        "input_tokens": 40,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 49,
    }
    decoy = {"image_gen": {"input_tokens": 1000, "output_tokens": 1000}, "web_search": {"num_requests": 3}}
    told = heard(completed(usage=usage, tool_usage=decoy))
    assert (told.usage.input, told.usage.output) == (40, 9)
    assert (told.usage.cache_read, told.usage.cache_creation, told.usage.reasoning) == (30, 2, 5)
    assert not told.usage.input_excludes_cache


def test_absent_usage_is_absent() -> None:
    assert heard(completed(usage=None)).usages == 0


def test_an_incomplete_response_ends_the_stream_too() -> None:
    response = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    told = heard(event("incomplete", response=response))
    assert told.finish == {0: "incomplete"}
    assert told.done == ["response.incomplete"]
    assert told.errors == []


def test_a_failed_response_tells_its_error_and_its_end() -> None:
    error = {"code": "server_error", "message": "out of luck"}
    told = heard(event("failed", response={"id": "r", "status": "failed", "error": error}))
    assert told.errors == [(None, "server_error", "out of luck")]
    assert told.finish == {0: "failed"}
    assert told.done == ["response.failed"]


def test_a_failed_response_without_a_word_is_an_error_all_the_same() -> None:
    assert heard(event("failed", response={"status": "failed", "error": None})).errors == [
        (None, None, None)
    ]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"type": "error", "code": "rate", "message": "slow down", "param": None}, ("rate", "slow down")),
        (
            {"type": "error", "error": {"type": "t", "code": "rate", "message": "slow down"}},
            ("rate", "slow down"),
        ),
        ({"error": {"code": 429, "message": "slow down"}}, ("429", "slow down")),
    ],
    ids=["flat", "nested", "without a type"],
)
def test_an_error_event_is_read_in_all_its_forms(
    payload: dict[str, Any], expected: tuple[str, str]
) -> None:
    ((_, code, text),) = heard(payload).errors
    assert (code, text) == expected


def test_keepalive_is_no_token() -> None:
    reader = OpenAIResponses()
    assert list(reader.read(wire({"type": "keepalive", "sequence_number": 3}, "keepalive"))) == [
        KeepAlive()
    ]
    assert list(reader.read(WireEvent(b"", "keepalive", dispatched=False))) == [KeepAlive()]


def test_the_name_of_the_event_stands_in_for_a_missing_type() -> None:
    reader = OpenAIResponses()
    assert list(reader.read(wire({"delta": "x"}, "response.output_text.delta"))) == [Text("x")]
    assert hear(reader, [wire({"response": {}}, "response.completed")]).finish == {0: "completed"}


def test_a_dialect_that_adds_done_ends_twice() -> None:
    told = hear(OpenAIResponses(), [wire(completed()), DONE])
    assert told.done == ["response.completed", "[DONE]"]


def test_an_empty_delta_and_an_unknown_event_say_nothing() -> None:
    reader = OpenAIResponses()
    assert not reader.read(wire(event("output_text.delta", delta="")))
    assert not reader.read(wire(event("from_the_future", delta="x")))


def test_what_was_told_is_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_responses, "MAX_PARTS", 30)
    reader = OpenAIResponses()
    for index in range(1000):
        reader.read(event("output_text.delta", output_index=index, delta="x"))
    assert len(reader._told) < 40
    assert hear(reader, [completed(message("x"))]).text == ""


def test_shape() -> None:
    assert is_openai_responses(None, {"type": "response.created"})
    assert is_openai_responses("keepalive", {"type": "keepalive"})
    assert not is_openai_responses(None, {"type": "message_start"})
    assert not is_openai_responses(None, {"object": "chat.completion.chunk"})


def test_sdk_events_read_as_the_wire_does() -> None:
    responses = pytest.importorskip("openai.types.responses")
    construct_type = pytest.importorskip("openai._models").construct_type
    payloads = [
        event("created", response={"id": "resp_1", "model": "gpt-x-2026", "status": "in_progress"}),
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="hm"),
        event("output_text.delta", output_index=1, content_index=0, delta="It rains."),
        event("output_item.added", output_index=2, item=call(2, "")),
        event("function_call_arguments.delta", output_index=2, delta="{}"),
        completed(message("It rains."), call(2, "{}"), usage={"input_tokens": 1, "output_tokens": 2}),
    ]
    objects = [construct_type(type_=responses.ResponseStreamEvent, value=payload) for payload in payloads]
    assert type(objects[2]).__name__ == "ResponseTextDeltaEvent"
    assert vars(hear(OpenAIResponses(), objects)) == vars(hear(OpenAIResponses(), map(wire, payloads)))

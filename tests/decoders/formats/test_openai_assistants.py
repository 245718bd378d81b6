"""OpenAI Assistants: the run's own id, usage and end; contents are lists."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders._delta import ToolCall
from firsttoken.decoders.formats.openai_assistants import OpenAIAssistants, is_openai_assistants
from tests.decoders.formats.hearing import DONE, Heard, hear, wire

Event = tuple[str, dict[str, Any]]


def run(status: str, **fields: Any) -> Event:
    return f"thread.run.{status}", {
        "id": "run_1",
        "object": "thread.run",
        "status": status,
        "model": "gpt-x",
        **fields,
    }


def text_delta(value: str, index: int = 0) -> Event:
    content = [{"index": index, "type": "text", "text": {"value": value, "annotations": []}}]
    return "thread.message.delta", {
        "id": "msg_1",
        "object": "thread.message.delta",
        "delta": {"content": content},
    }


def message(status: str, *texts: str, role: str = "assistant") -> Event:
    content = [{"type": "text", "text": {"value": text, "annotations": []}} for text in texts]
    data = {"id": "msg_1", "object": "thread.message", "role": role, "status": status, "content": content}
    return f"thread.message.{status}", data


def step_delta(step: str, *calls: dict[str, Any]) -> Event:
    delta = {"step_details": {"type": "tool_calls", "tool_calls": list(calls)}}
    return "thread.run.step.delta", {"id": step, "object": "thread.run.step.delta", "delta": delta}


def heard(*events: Event) -> Heard:
    """Read the events as the wire sends them and as the SDK's objects hold them."""
    from_wire = hear(OpenAIAssistants(), [wire(data, name) for name, data in events])
    from_dicts = hear(OpenAIAssistants(), [{"event": name, "data": data} for name, data in events])
    assert vars(from_wire) == vars(from_dicts)
    return from_wire


def test_a_run_from_start_to_end() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_token_details": {"cached_tokens": 6}}
    told = heard(
        run("created", usage=None),
        message("created"),
        text_delta("Two "),
        text_delta("words"),
        message("completed", "Two words"),
        (
            "thread.run.step.completed",
            {"id": "s", "object": "thread.run.step", "usage": {"prompt_tokens": 7}},
        ),
        run("completed", usage=usage),
    )
    assert told.text == "Two words"
    assert (told.id, told.model) == ("run_1", "gpt-x")
    assert (told.usage.input, told.usage.output, told.usage.cache_read) == (10, 4, 6)
    assert told.usages == 1
    assert told.finish == {0: "completed"}


def test_only_done_ends_the_stream_and_only_on_the_wire() -> None:
    reader = OpenAIAssistants()
    assert hear(reader, [wire(run("completed")[1], "thread.run.completed"), DONE]).done == ["[DONE]"]
    assert reader.has_done
    reader.read({"event": "thread.run.completed", "data": run("completed")[1]})
    assert not reader.has_done


def test_a_completed_message_counts_where_no_delta_came() -> None:
    assert heard(message("created"), message("completed", "all at ", "once")).text == "all at once"


def test_a_second_message_is_told_apart_from_the_first() -> None:
    told = heard(text_delta("one"), message("completed", "one"), message("completed", ", two"))
    assert told.text == "one, two"


def test_a_message_of_the_user_is_none_of_the_answer() -> None:
    assert heard(message("completed", "my question", role="user")).text == ""


def test_refusal_and_annotations() -> None:
    refusal = [{"index": 0, "type": "refusal", "refusal": "No."}]
    note = [{"index": 0, "type": "text", "text": {"annotations": [{"type": "file_citation"}]}}]
    kind = "thread.message.delta"
    told = heard(
        (kind, {"object": kind, "delta": {"content": refusal}}),
        (kind, {"object": kind, "delta": {"content": note}}),
    )
    assert (told.refusal, told.text) == ("No.", "")


def function(index: int, **fields: Any) -> dict[str, Any]:
    return {"index": index, "type": "function", **fields}


def test_function_calls_of_two_steps_do_not_run_together() -> None:
    told = heard(
        step_delta("s1", function(0, id="c1", function={"name": "a", "arguments": ""})),
        step_delta("s1", function(0, function={"arguments": "{}"})),
        step_delta("s2", function(0, id="c2", function={"name": "b", "arguments": "[]"})),
    )
    assert [call["name"] for call in told.calls.values()] == ["a", "b"]
    assert [call["arguments"] for call in told.calls.values()] == ["{}", "[]"]


def test_code_interpreter_is_no_tool_call() -> None:
    told = heard(
        step_delta("s", {"index": 0, "type": "code_interpreter", "code_interpreter": {"input": "1"}})
    )
    assert (told.calls, told.lost) == ({}, 0)


def test_required_action_tells_calls_that_no_delta_told() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "a", "arguments": "{}"}}]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    told = heard(run("requires_action", required_action=action))
    assert told.calls == {(0, 0): {"id": "c1", "name": "a", "type": "function", "arguments": "{}"}}
    assert told.finish == {0: "requires_action"}
    started = step_delta("s", function(0, id="c1", function={"name": "a", "arguments": "{}"}))
    assert heard(started, run("requires_action", required_action=action)).calls == told.calls


def test_a_failed_run_tells_why() -> None:
    told = heard(run("failed", last_error={"code": "rate_limit_exceeded", "message": "slow down"}))
    assert told.errors == [(None, "rate_limit_exceeded", "slow down")]
    assert told.finish == {0: "failed"}


def test_an_error_event_is_an_error() -> None:
    reader = OpenAIAssistants()
    told = hear(reader, [wire({"code": None, "message": "broken", "type": "server_error"}, "error")])
    assert told.errors == [("server_error", None, "broken")]


def test_shape() -> None:
    assert is_openai_assistants("thread.run.created", {})
    assert is_openai_assistants(None, {"event": "thread.message.delta", "data": {}})
    assert not is_openai_assistants("message_start", {"type": "message_start"})


def test_sdk_events_read_as_the_wire_does() -> None:
    beta = pytest.importorskip("openai.types.beta")
    construct_type = pytest.importorskip("openai._models").construct_type
    events = [
        run("created"),
        text_delta("hello"),
        step_delta("s", function(0, id="c", function={"name": "a", "arguments": "{}"})),
        run("completed", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    ]
    objects = [
        construct_type(type_=beta.AssistantStreamEvent, value={"event": name, "data": data})
        for name, data in events
    ]
    assert type(objects[1]).__name__ == "ThreadMessageDelta"
    assert vars(hear(OpenAIAssistants(), objects)) == vars(heard(*events))


def test_a_call_starts_with_its_name() -> None:
    reader = OpenAIAssistants()
    (start,) = reader.read(wire(step_delta("s", function(0, id="c", function={"name": "a"}))[1]))
    assert start == ToolCall(0, id="c", name="a", type="function")

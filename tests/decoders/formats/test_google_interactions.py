"""Google Interactions, in both versions of its event names."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats.google_interactions import GoogleInteractions, is_google_interactions
from tests.decoders.formats.hearing import DONE, Heard, hear, hear_both_ways, wire

USAGE = {
    "total_input_tokens": 5,
    "total_output_tokens": 3,
    "total_thought_tokens": 9,
    "total_cached_tokens": 2,
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"event_type": kind, **fields}


def delta(index: int = 0, **fields: Any) -> dict[str, Any]:
    return event("step.delta", index=index, delta=fields)


def completed(status: str = "completed", **fields: Any) -> dict[str, Any]:
    interaction = {"id": "v1_a", "model": "gemini-x", "status": status, "usage": USAGE, **fields}
    return event("interaction.completed", interaction=interaction)


def heard(*events: dict[str, Any]) -> Heard:
    return hear_both_ways(GoogleInteractions, events)


def test_an_interaction_from_start_to_end() -> None:
    told = heard(
        event(
            "interaction.created", interaction={"id": "v1_a", "status": "in_progress", "model": "gemini-x"}
        ),
        event("interaction.status_update", interaction_id="v1_a", status="in_progress"),
        event("step.start", index=0, step={"type": "thought"}),
        delta(0, type="thought_summary", content={"type": "text", "text": "hm"}),
        delta(0, type="thought_signature", signature="c2ln"),
        event("step.start", index=1, step={"type": "model_output"}),
        delta(1, type="text", text="yes"),
        event("step.stop", index=1),
        completed(),
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert (told.id, told.model) == ("v1_a", "gemini-x")
    assert (told.usage.input, told.usage.output, told.usage.reasoning, told.usage.cache_read) == (
        5,
        3,
        9,
        2,
    )
    assert told.finish == {0: "completed"}
    assert told.done == ["interaction.completed"]


def test_running_usage_in_metadata_is_not_the_usage() -> None:
    running = event("step.delta", index=0, delta={"type": "text", "text": "a"}, metadata={"usage": USAGE})
    assert heard(running).usages == 0


def test_done_follows_on_the_wire() -> None:
    told = hear(GoogleInteractions(), [wire(completed(), "interaction.completed"), DONE])
    assert told.done == ["interaction.completed", "[DONE]"]


def test_the_first_version_said_content_and_complete() -> None:
    told = heard(
        event("interaction.start", interaction={"id": "v1_a", "status": "in_progress"}),
        event("content.start", index=0, content={"type": "thought"}),
        event(
            "content.delta",
            index=0,
            delta={"type": "thought_summary", "content": {"type": "text", "text": "hm"}},
        ),
        event("content.start", index=1, content={"type": "text"}),
        event("content.delta", index=1, delta={"type": "text", "text": "yes"}),
        event(
            "content.delta",
            index=2,
            delta={"type": "function_call", "id": "c", "name": "f", "arguments": {"x": 1}},
        ),
        event("interaction.complete", interaction={"id": "v1_a", "status": "completed", "usage": USAGE}),
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert told.calls == {(0, 2): {"id": "c", "name": "f", "type": "function", "arguments": {"x": 1}}}
    assert told.done == ["interaction.complete"]


def test_a_call_starts_with_its_step_and_its_arguments_follow() -> None:
    told = heard(
        event(
            "step.start", index=3, step={"type": "function_call", "id": "c", "name": "f", "arguments": {}}
        ),
        delta(3, type="arguments_delta", arguments='{"x":'),
        delta(3, type="arguments_delta", arguments="1}"),
        completed("requires_action"),
    )
    assert told.calls == {(0, 3): {"id": "c", "name": "f", "type": "function", "arguments": '{"x":1}'}}
    assert told.finish == {0: "requires_action"}


def test_tools_that_google_runs_are_no_tool_calls() -> None:
    told = heard(
        event(
            "step.start",
            index=0,
            step={"type": "google_search_call", "id": "s", "arguments": {"queries": ["x"]}},
        ),
        delta(1, type="code_execution_call", arguments={"code": "1", "language": "python"}),
        delta(1, type="code_execution_result", result="1"),
    )
    assert (told.calls, told.text, told.lost) == ({}, "", 0)


def test_the_steps_of_the_interaction_count_only_where_nothing_came_before() -> None:
    steps = [
        {"type": "thought", "summary": [{"type": "text", "text": "hm"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "yes"}]},
    ]
    assert heard(completed(steps=steps)).text == "yes"
    assert heard(completed(steps=steps)).reasoning == "hm"
    assert heard(delta(0, type="text", text="yes"), completed(steps=steps)).text == "yes"


def test_a_status_that_ends_it_is_a_finish_reason() -> None:
    assert heard(event("interaction.status_update", status="failed", usage=USAGE)).finish == {0: "failed"}
    assert heard(event("interaction.status_update", status="queued")).finish == {}


def test_an_error_event() -> None:
    told = heard(event("error", error={"code": "unavailable", "message": "overloaded"}))
    assert told.errors == [(None, "unavailable", "overloaded")]


def test_shape() -> None:
    assert is_google_interactions(None, event("step.delta"))
    assert not is_google_interactions("step.delta", {"event_type": "stream-start"})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    interactions = pytest.importorskip("google.genai.interactions")
    payloads = [
        event(
            "interaction.created", interaction={"id": "v1_a", "status": "in_progress", "model": "gemini-x"}
        ),
        event(
            "step.start", index=0, step={"type": "function_call", "id": "c", "name": "f", "arguments": {}}
        ),
        delta(0, type="arguments_delta", arguments="{}"),
        delta(1, type="text", text="yes"),
        completed(),
    ]
    names = ("InteractionCreatedEvent", "StepStart", "StepDelta", "StepDelta", "InteractionCompletedEvent")
    objects = [
        getattr(interactions, name).model_validate(payload)
        for name, payload in zip(names, payloads, strict=True)
    ]
    assert vars(hear(GoogleInteractions(), objects)) == vars(
        hear(GoogleInteractions(), map(wire, payloads))
    )

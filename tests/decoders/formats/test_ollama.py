"""Ollama: lines of chat and of generate."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats.ollama import Ollama, is_ollama
from tests.decoders.formats.hearing import hear, hear_both_ways, wire


def line(content: str = "", done: bool = False, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    return {
        "model": "qwen3",
        "created_at": "2026-01-01T00:00:00Z",
        "message": message,
        "done": done,
        **fields,
    }


def test_thinking_comes_before_the_answer_and_is_none_of_it() -> None:
    told = hear_both_ways(
        Ollama,
        [
            line(message={"thinking": "hm"}),
            line("yes"),
            line(done=True, done_reason="stop", prompt_eval_count=7, eval_count=9),
        ],
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert told.finish == {0: "stop"}
    assert (told.usage.input, told.usage.output) == (7, 9)
    assert told.done == ["done:true"]
    assert told.model == "qwen3"


def test_a_cached_prompt_is_not_counted_and_stays_absent() -> None:
    told = hear_both_ways(Ollama, [line(done=True, eval_count=9)])
    assert (told.usage.input, told.usage.output) == (None, 9)


def test_the_last_line_may_hold_text() -> None:
    assert hear_both_ways(Ollama, [line("all", done=True)]).text == "all"


def test_generate_has_response_and_its_own_thinking() -> None:
    told = hear_both_ways(
        Ollama,
        [
            {"model": "m", "response": "", "thinking": "hm", "done": False},
            {"model": "m", "response": "yes", "done": False},
            {"model": "m", "response": "", "done": True, "context": [1, 2, 3], "eval_count": 1},
        ],
    )
    assert (told.reasoning, told.text, told.usage.output) == ("hm", "yes", 1)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


def test_whole_calls_are_counted_as_they_come() -> None:
    told = hear_both_ways(
        Ollama,
        [
            line(message={"tool_calls": [call("a", x=1), call("b")]}),
            line(message={"tool_calls": [call("a", x=2)]}),
        ],
    )
    assert list(told.calls.values()) == [
        {"name": "a", "type": "function", "arguments": {"x": 1}},
        {"name": "b", "type": "function", "arguments": {}},
        {"name": "a", "type": "function", "arguments": {"x": 2}},
    ]


def test_an_error_is_a_line_of_its_own() -> None:
    assert hear_both_ways(Ollama, [line("x"), {"error": "model crashed"}]).errors == [
        (None, None, "model crashed")
    ]


def test_shape() -> None:
    assert is_ollama(None, line())
    assert is_ollama(None, {"response": "", "done": True})
    assert not is_ollama(None, {"done": True})
    assert not is_ollama(None, {"message": {}, "done": "yes"})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    ollama = pytest.importorskip("ollama")
    payloads = [
        line("x", message={"thinking": "hm"}),
        line(message={"tool_calls": [call("a", x=1)]}),
        line(done=True, done_reason="stop", prompt_eval_count=1, eval_count=2),
    ]
    objects = [ollama.ChatResponse(**payload) for payload in payloads]
    assert vars(hear(Ollama(), objects)) == vars(hear(Ollama(), map(wire, payloads)))

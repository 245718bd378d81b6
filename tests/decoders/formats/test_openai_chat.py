"""Chat completion chunks of OpenAI and of those who copied it; further traps stand in `tests/corpus`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firsttoken.decoders import (
    Delta,
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
    WireEvent,
)
from firsttoken.decoders.formats.openai_chat import OpenAIChat, is_openai_chat


def told(*payloads: Any, reader: OpenAIChat | None = None) -> list[Delta]:
    reader = reader or OpenAIChat()
    return [delta for payload in payloads for delta in reader.read(payload)]


def chunk(finish: Any = None, **delta: Any) -> Any:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def wire(payload: Any, name: str | None = None) -> WireEvent:
    return WireEvent(json.dumps(payload).encode(), name)


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"content": "a"}, [Text("a")]),
        ({"content": ""}, []),
        ({"content": None, "role": "assistant"}, []),
        ({"content": []}, []),
        (
            {
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url"},
                    {"type": "text", "text": ""},
                ]
            },
            [Text("a")],
        ),
        ({"content": [{"type": "thinking", "thinking": "b"}]}, [Reasoning("b")]),
        ({"content": [{"type": "thinking", "thinking": [{"text": "b"}, {"text": ""}]}]}, [Reasoning("b")]),
        ({"reasoning_content": "r", "content": "a"}, [Reasoning("r"), Text("a")]),
        ({"reasoning": "r"}, [Reasoning("r")]),
        ({"reasoning": "r", "reasoning_content": "r"}, [Reasoning("r")]),
        ({"reasoning_details": [{"summary": "s"}, {"data": "x"}]}, [Reasoning("s")]),
        ({"refusal": "no"}, [Refusal("no")]),
        ({"audio": {"transcript": "hi"}}, [Text("hi")]),
        ({"audio": {"data": "UklGRg=="}}, [Text("")]),
        ({"audio": {"expires_at": 1}}, []),
        ({"content": 5, "refusal": "no"}, [Refusal("no")]),
    ],
)
def test_what_a_delta_says(delta: Any, expected: list[Delta]) -> None:
    assert told(chunk(**delta)) == told(wire(chunk(**delta))) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"index": 2, "id": "i", "type": "function", "function": {"name": "f", "arguments": ""}},
            ToolCall(2, 0, "i", "f", "function", ""),
        ),
        ({"index": 2, "function": {"arguments": "{}"}}, ToolCall(2, 0, arguments="{}")),
        (
            {"index": 0, "function": {"name": "f", "arguments": {"a": 1}}},
            ToolCall(0, 0, None, "f", None, None, {"a": 1}),
        ),
        (
            {"index": 1, "id": "i", "custom": {"name": "c", "input": "x"}},
            ToolCall(1, 0, "i", "c", "custom", "x"),
        ),
        ({"index": 0}, ToolCall(0)),
    ],
)
def test_what_a_tool_call_says(call: Any, expected: ToolCall) -> None:
    assert told(chunk(tool_calls=[call])) == [expected]


@pytest.mark.parametrize("reason", [None, "", "null"])
def test_what_is_no_finish_reason(reason: Any) -> None:
    assert told(chunk(reason)) == []


def test_a_finish_reason_comes_after_the_last_text() -> None:
    assert told(chunk("stop", content="a")) == [Text("a"), Finish("stop")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(1, 2)),
        ({"prompt_tokens": 0}, Usage(0)),
        (
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(9, None, 4, 3, 2),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5}, Usage(9, None, 5)),
        ({"prompt_tokens": 9, "cached_tokens": 5, "reasoning_tokens": 1}, Usage(9, None, 5, None, 1)),
        ({"cache_read_input_tokens": 5, "cache_creation_input_tokens": 6}, Usage(None, None, 5, 6)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9)),
        ({"prompt_tokens": "9", "completion_tokens": 2.0}, Usage(9, 2)),
    ],
)
def test_what_a_usage_says(usage: Any, expected: Usage) -> None:
    assert told({"choices": [], "usage": usage}) == [expected]


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 5}, [], "x"])
def test_a_usage_without_counts_is_none(usage: Any) -> None:
    assert told({"choices": [], "usage": usage}) == []


def test_usage_of_groq_does_not_count_twice() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    assert told({"choices": [], "usage": usage, "x_groq": {"usage": usage}}) == [Usage(1, 2)]
    assert told({"choices": [], "x_groq": {"usage": usage}}) == [Usage(1, 2)]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "code": 400}}, StreamError("t", "400", "m")),
        ({"error": "m"}, StreamError(message="m")),
        ({"object": "error", "message": "m", "type": "t", "code": 5}, StreamError("t", "5", "m")),
        ({"choices": [], "x_groq": {"error": "over_capacity"}}, StreamError(message="over_capacity")),
        ({"base_resp": {"status_code": 1002, "status_msg": "m"}}, StreamError(None, "1002", "m")),
        ({"choices": [{"error": {"code": 502, "message": "m"}}]}, StreamError(None, "502", "m")),
        (wire({"message": "m", "code": "c"}, "error"), StreamError(None, "c", "m")),
    ],
)
def test_errors_of_every_dialect(payload: Any, expected: StreamError) -> None:
    assert told(payload) == [expected]


@pytest.mark.parametrize(
    "payload", [{"error": None, "choices": []}, {"base_resp": {"status_code": 0}}, {"error": {}}]
)
def test_what_is_no_error(payload: Any) -> None:
    assert told(payload) == []


def test_identity_is_told_once_and_as_it_becomes_known() -> None:
    first, second = {"id": "", "model": "m"}, {"id": "i", "model": "other"}
    assert told(first, first, second, second) == [Identity(None, "m"), Identity("i", None)]


def test_a_whole_message_counts_only_where_nothing_was_streamed() -> None:
    whole = {
        "choices": [
            {"index": 0, "message": {"content": "all", "tool_calls": [{"function": {"name": "f"}}]}}
        ]
    }
    assert told(whole) == [Text("all"), ToolCall(0, name="f")]
    assert told(chunk(content="all"), whole) == [Text("all")]


def test_calls_without_index_are_counted_per_choice() -> None:
    def call(name: str | None, index: int) -> Any:
        made = {"function": {"name": name, "arguments": "x"}}
        return {"choices": [{"index": index, "delta": {"tool_calls": [made]}}]}

    deltas = told(call("f", 0), call("g", 1), call(None, 0), call("h", 0), call(None, 1))
    assert [(delta.choice, delta.index) for delta in deltas] == [(0, 0), (1, 0), (0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("data", [b"[DONE]", b"[DONE] ", b" [DONE]"])
def test_the_end(data: bytes) -> None:
    assert told(WireEvent(data.lstrip())) == [Done("[DONE]")]


@pytest.mark.parametrize("data", [b"nonsense", b"[1]", b'"x"', b"{", b"null"])
def test_what_is_no_chunk_is_one_loss(data: bytes) -> None:
    (delta,) = told(WireEvent(data))
    assert isinstance(delta, Undecoded)


def test_empty_data_is_nothing() -> None:
    assert told(WireEvent(b""), WireEvent(b"", "ping", dispatched=False)) == []


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"object": "chat.completion.chunk", "choices": []}, True),
        ({"choices": [{"delta": {}}]}, True),
        ({"choices": [{"message": {}}]}, True),
        ({"choices": [{"text": "a"}]}, False),
        ({"choices": []}, False),
        ({"object": "text_completion", "choices": [{"text": "a"}]}, False),
        ({"type": "chunk", "chunk": {"choices": [{"delta": {}}]}}, True),
        ({"data": {"choices": [{"delta": {}}]}}, True),
        ({"type": "ping"}, False),
    ],
)
def test_shape(body: Any, fits: bool) -> None:
    assert is_openai_chat(None, body) is fits

"""Anthropic messages events, from the wire, as dicts, and as the SDK's raw and helper-stream events."""

from __future__ import annotations

import json
import types
from typing import Any

import pytest

from firsttoken.decoders import (
    Delta,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    StreamError,
    Text,
    ToolCall,
    Undecoded,
    Usage,
    WireEvent,
)
from firsttoken.decoders.formats.anthropic_messages import AnthropicMessages, is_anthropic_messages


def told(payload: Any) -> list[Delta]:
    as_dict = list(AnthropicMessages().read(payload))
    assert (
        list(AnthropicMessages().read(WireEvent(json.dumps(payload).encode(), payload.get("type"))))
        == as_dict
    )
    return as_dict


def delta(**fields: Any) -> Any:
    return {"type": "content_block_delta", "index": 2, "delta": fields}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (delta(type="text_delta", text="a"), [Text("a")]),
        (delta(type="text_delta", text=""), []),
        (delta(type="thinking_delta", thinking="a"), [Reasoning("a")]),
        (delta(type="signature_delta", signature="a"), []),
        (delta(type="citations_delta", citation={"cited_text": "a"}), []),
        (delta(type="input_json_delta", partial_json=""), [ToolCall(2, arguments="")]),
        (delta(type="input_json_delta", partial_json="{"), [ToolCall(2, arguments="{")]),
        ({"type": "content_block_delta", "index": 0}, []),
        ({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, []),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
            [Text("a")],
        ),
        (
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "redacted_thinking", "data": "x"},
            },
            [],
        ),
        (
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "tool_use", "id": "i", "name": "f"},
            },
            [ToolCall(1, 0, "i", "f", "tool_use")],
        ),
        (
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "mcp_tool_use", "id": "i", "name": "f", "input": {"a": 1}},
            },
            [ToolCall(1, 0, "i", "f", "mcp_tool_use", None, {"a": 1})],
        ),
        (
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "web_search_tool_result"},
            },
            [],
        ),
        ({"type": "content_block_start", "index": 1}, []),
        ({"type": "content_block_stop", "index": 1}, []),
        ({"type": "ping"}, [KeepAlive()]),
        ({"type": "message_stop"}, [Done("message_stop")]),
        ({"type": "message_delta", "delta": {"stop_reason": "refusal"}}, [Finish("refusal")]),
        ({"type": "message_delta", "delta": {"stop_reason": None}, "usage": {}}, []),
        ({"type": "error", "error": {"type": "t", "message": "m"}}, [StreamError("t", None, "m")]),
        ({"type": "error"}, [StreamError()]),
        ({"type": "something_new", "text": "a"}, []),
    ],
)
def test_what_an_event_says(payload: Any, expected: list[Delta]) -> None:
    assert told(payload) == expected


def test_input_is_without_cache_and_says_so() -> None:
    usage = {
        "input_tokens": 1,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 3,
        "output_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    assert told({"type": "message_start", "message": {"id": "i", "model": "m", "usage": usage}}) == [
        Identity("i", "m"),
        Usage(1, 4, 2, 3, 2, input_excludes_cache=True),
    ]


def test_a_later_usage_tells_only_what_it_has() -> None:
    assert told(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    ) == [
        Finish("end_turn"),
        Usage(None, 9, input_excludes_cache=True),
    ]


def test_what_bedrock_measured_is_usage() -> None:
    metrics = {"inputTokenCount": 1, "outputTokenCount": 2, "invocationLatency": 3}
    assert told({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}) == [
        Usage(1, 2, input_excludes_cache=True),
        Done("message_stop"),
    ]


def test_a_whole_message_in_place_of_a_stream() -> None:
    message = {
        "type": "message",
        "id": "i",
        "model": "m",
        "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    assert told(message) == [
        Identity("i", "m"),
        Reasoning("t"),
        Text("a"),
        Finish("end_turn"),
        Usage(1, 2, input_excludes_cache=True),
        Done("message_stop"),
    ]


@pytest.mark.parametrize("kind", ["text", "thinking", "signature", "input_json", "citation"])
def test_what_the_helper_stream_derives_is_not_counted_again(kind: str) -> None:
    event = types.SimpleNamespace(type=kind, text="a", thinking="a", partial_json="{", snapshot="a")
    assert list(AnthropicMessages().read(event)) == []


@pytest.mark.parametrize("data", [b"x", b"[]", b"[DONE]", b"{"])
def test_what_is_no_event_is_one_loss(data: bytes) -> None:
    (loss,) = AnthropicMessages().read(WireEvent(data))
    assert isinstance(loss, Undecoded)


def test_empty_data_is_nothing() -> None:
    assert list(AnthropicMessages().read(WireEvent(b"", "ping"))) == []


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("message_start", True),
        ("content_block_delta", True),
        ("ping", False),
        ("message-start", False),
        (None, False),
    ],
)
def test_shape(kind: Any, fits: bool) -> None:
    assert is_anthropic_messages(None, {"type": kind}) is fits

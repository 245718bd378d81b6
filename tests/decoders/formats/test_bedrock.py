"""ConverseStream: flat on the wire, wrapped by boto3; usage after the end."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import ToolCall
from firsttoken.decoders.formats.bedrock import BedrockConverse, is_bedrock_converse
from tests.decoders.formats.hearing import Heard, hear, wire

Event = tuple[str, dict[str, Any]]


def heard(*events: Event) -> Heard:
    """Read the events flat, as the wire has them, and wrapped, as boto3 yields them."""
    flat = hear(BedrockConverse(), [wire({**payload, "p": "abc"}, name) for name, payload in events])
    wrapped = hear(BedrockConverse(), [{name: payload} for name, payload in events])
    assert vars(flat) == vars(wrapped)
    return flat


def delta(index: int = 0, **fields: Any) -> Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def test_reasoning_then_text_then_the_end_then_usage() -> None:
    usage = {
        "inputTokens": 7,
        "outputTokens": 9,
        "totalTokens": 16,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 2,
    }
    told = heard(
        ("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        delta(1, text="yes"),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 12}}),
    )
    assert (told.reasoning, told.text) == ("hm", "yes")
    assert told.finish == {0: "end_turn"}
    assert told.done == ["messageStop"]
    assert (told.usage.input, told.usage.output) == (7, 9)
    assert (told.usage.cache_read, told.usage.cache_creation) == (5, 2)
    assert (told.id, told.model) == (None, None)


def test_cache_reads_and_writes_come_on_top_of_the_input() -> None:
    (usage,) = BedrockConverse().read(wire({"usage": {"inputTokens": 1}}, "metadata"))
    assert getattr(usage, "input_excludes_cache", False)


def test_calls_are_told_apart_by_block() -> None:
    def start(index: int) -> Event:
        use = {"toolUseId": f"t{index}", "name": f"f{index}"}
        return "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}}

    told = heard(
        start(1),
        delta(1, toolUse={"input": ""}),
        delta(1, toolUse={"input": '{"x":1}'}),
        start(2),
        delta(2, toolUse={"input": "{}"}),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    assert told.calls == {
        (0, 1): {"id": "t1", "name": "f1", "type": "function", "arguments": '{"x":1}'},
        (0, 2): {"id": "t2", "name": "f2", "type": "function", "arguments": "{}"},
    }


def test_an_empty_piece_of_input_extends_the_call() -> None:
    name, payload = delta(1, toolUse={"input": ""})
    assert list(BedrockConverse().read(wire(payload, name))) == [ToolCall(1, arguments="")]


@pytest.mark.parametrize("data", [b'{"message": "slow down"}', b'{"originalMessage": "slow down"}'])
def test_an_exception_frame_is_an_error_named_by_its_type(data: bytes) -> None:
    frame = WireEvent(data, "throttlingException", failure=True)
    assert hear(BedrockConverse(), [frame]).errors == [("throttlingException", None, "slow down")]


def test_an_exception_frame_without_a_readable_payload_is_an_error_still() -> None:
    assert hear(BedrockConverse(), [WireEvent(b"", "modelStreamErrorException", failure=True)]).errors == [
        ("modelStreamErrorException", None, None)
    ]


def test_citations_are_no_text() -> None:
    told = heard(delta(0, citation={"title": "a", "sourceContent": [{"text": "b"}]}))
    assert (told.text, told.lost) == ("", 0)


def test_shape() -> None:
    assert is_bedrock_converse("contentBlockDelta", {"delta": {}})
    assert is_bedrock_converse(None, {"messageStart": {"role": "assistant"}})
    assert not is_bedrock_converse("metadata", {"run_id": "r"})
    assert not is_bedrock_converse("chunk", {"bytes": ""})

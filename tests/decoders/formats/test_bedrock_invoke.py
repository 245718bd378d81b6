"""InvokeModelWithResponseStream: whatever the model streams, in base64."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders.formats.bedrock_invoke import BedrockInvoke, is_bedrock_invoke
from tests.decoders.formats.hearing import Heard, hear, wire

METRICS = {"inputTokenCount": 7, "outputTokenCount": 9, "invocationLatency": 5, "firstByteLatency": 3}
LAST = {"amazon-bedrock-invocationMetrics": METRICS}


def framed(payload: dict[str, Any]) -> WireEvent:
    return wire({"bytes": base64.b64encode(json.dumps(payload).encode()).decode(), "p": "abc"}, "chunk")


def heard(*payloads: dict[str, Any]) -> Heard:
    """Read the payloads as the wire has them and as boto3 yields them."""
    from_wire = hear(BedrockInvoke(), map(framed, payloads))
    from_boto3 = hear(
        BedrockInvoke(), [{"chunk": {"bytes": json.dumps(payload).encode()}} for payload in payloads]
    )
    assert vars(from_wire) == vars(from_boto3)
    return from_wire


def test_anthropic_messages() -> None:
    start = {"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 7, "output_tokens": 1}}
    told = heard(
        {"type": "message_start", "message": start},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop", **LAST},
    )
    assert (told.text, told.id, told.model) == ("a", "msg_1", "claude-x")
    assert (told.usage.input, told.usage.output) == (7, 9)
    assert told.usages == 3
    assert told.finish == {0: "end_turn"}
    assert told.done == ["message_stop"]


def test_anthropic_completions_without_a_type_are_pieces() -> None:
    told = heard(
        {"completion": " a", "stop_reason": None}, {"completion": " b", "stop_reason": "max_tokens", **LAST}
    )
    assert (told.text, told.finish) == (" a b", {0: "max_tokens"})
    assert (told.usage.input, told.usage.output) == (7, 9)


def test_nova() -> None:
    usage = {
        "inputTokens": 7,
        "outputTokens": 9,
        "cacheReadInputTokenCount": 2,
        "cacheWriteInputTokenCount": 0,
    }
    told = heard(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "a"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": usage, "metrics": {}, "trace": {}}, **LAST},
    )
    assert (told.text, told.finish, told.done) == ("a", {0: "end_turn"}, ["messageStop"])
    assert (told.usage.input, told.usage.output, told.usage.cache_read) == (7, 9, 2)


def test_llama_counts_the_prompt_in_its_first_chunk_only() -> None:
    told = heard(
        {"generation": "a", "prompt_token_count": 7, "generation_token_count": 1, "stop_reason": None},
        {
            "generation": "b",
            "prompt_token_count": None,
            "generation_token_count": 2,
            "stop_reason": "length",
        },
    )
    assert (told.text, told.finish) == ("ab", {0: "length"})
    assert (told.usage.input, told.usage.output) == (7, 2)
    assert told.done == []


def test_titan() -> None:
    told = heard(
        {"outputText": "a", "index": 0, "inputTextTokenCount": 7, "completionReason": None},
        {
            "outputText": "b",
            "index": 0,
            "totalOutputTextTokenCount": 9,
            "completionReason": "FINISH",
            **LAST,
        },
    )
    assert (told.text, told.finish) == ("ab", {0: "FINISH"})
    assert (told.usage.input, told.usage.output) == (7, 9)


def test_cohere_command() -> None:
    told = heard(
        {"is_finished": False, "text": "a"}, {"is_finished": True, "finish_reason": "COMPLETE", **LAST}
    )
    assert (told.text, told.finish) == ("a", {0: "COMPLETE"})
    assert told.usage.output == 9


def test_cohere_command_r() -> None:
    told = heard(
        {"event_type": "text-generation", "text": "a"},
        {"event_type": "stream-end", "finish_reason": "COMPLETE"},
    )
    assert (told.text, told.done) == ("a", ["stream-end"])


@pytest.mark.parametrize(
    "payloads",
    [
        (
            {"outputs": [{"text": "a", "stop_reason": None}]},
            {"outputs": [{"text": "b", "stop_reason": "stop"}]},
        ),
        (
            {
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "a"}, "stop_reason": None}
                ]
            },
            {"choices": [{"index": 0, "message": {"content": "b"}, "stop_reason": "stop"}]},
        ),
        (
            {"choices": [{"text": "a", "stop_reason": None}]},
            {"choices": [{"text": "b", "stop_reason": "stop"}]},
        ),
        (
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"index": 0, "delta": {"content": "ab"}, "finish_reason": "stop"}]},
        ),
    ],
    ids=["mistral", "mistral chat", "deepseek", "openai"],
)
def test_lists_of_outputs_or_choices(payloads: tuple[dict[str, Any], ...]) -> None:
    told = heard(*payloads)
    assert (told.text, told.finish) == ("ab", {0: "stop"})


def test_a_model_nobody_knows_is_read_by_the_usual_keys() -> None:
    assert heard({"text": "a"}, {"text": "b"}).text == "ab"


def test_what_is_due_at_the_end_is_due_by_the_model() -> None:
    reader = BedrockInvoke()
    reader.read(framed({"generation": "a"}))
    assert (reader.has_done, reader.has_finish) == (False, True)


def test_an_exception_frame_tells_the_model_s_own_status() -> None:
    data = b'{"message": "boom", "originalStatusCode": 424, "originalMessage": "x"}'
    told = hear(BedrockInvoke(), [WireEvent(data, "modelStreamErrorException", failure=True)])
    assert told.errors == [("modelStreamErrorException", "424", "boom")]


@pytest.mark.parametrize("payload", [{"bytes": "%%%"}, {"bytes": ""}, {}, {"bytes": 7}])
def test_a_chunk_without_bytes_is_lost_and_counted(payload: dict[str, Any]) -> None:
    assert hear(BedrockInvoke(), [wire(payload, "chunk")]).lost == 1


def test_shape() -> None:
    assert is_bedrock_invoke("chunk", {"bytes": "e30="})
    assert is_bedrock_invoke(None, {"chunk": {"bytes": b"{}"}})
    assert not is_bedrock_invoke("chunk", {"text": "a"})

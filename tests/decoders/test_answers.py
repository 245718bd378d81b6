"""Answers that came whole, in every provider's form: read as if they had been streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firsttoken.decoders import Finish, Identity, StreamError, Text, Usage, decoder_for

#: Name -> (host, body, finish reason, usage).
BODIES: dict[str, tuple[str, Any, str, Usage | None]] = {
    "openai.chat": (
        "api.openai.com",
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-x-1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hello", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 3},
            },
        },
        "stop",
        Usage(input=5, output=2, cache_read=3),
    ),
    "openai.responses": (
        "api.openai.com",
        {
            "id": "r1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "model": "gpt-x-1",
            "output": [
                {
                    "type": "message",
                    "id": "m",
                    "status": "completed",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
                }
            ],
            "usage": {
                "input_tokens": 5,
                "input_tokens_details": {"cached_tokens": 3},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 7,
            },
        },
        "completed",
        Usage(input=5, output=2, cache_read=3, reasoning=0),
    ),
    "openai.responses.incomplete": (
        "api.openai.com",
        {
            "id": "r1",
            "object": "response",
            "status": "incomplete",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"},
            "model": "gpt-x-1",
            "output": [],
            "usage": {"input_tokens": 5, "output_tokens": 2},
        },
        "incomplete",
        Usage(input=5, output=2),
    ),
    "openai.completions": (
        "api.openai.com",
        {
            "id": "cmpl",
            "object": "text_completion",
            "created": 1,
            "model": "gpt-x-1",
            "choices": [{"text": "Hello", "index": 0, "logprobs": None, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        },
        "length",
        Usage(input=5, output=2),
    ),
    "anthropic": (
        "api.anthropic.com",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 5,
                "output_tokens": 2,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 1,
            },
        },
        "end_turn",
        Usage(input=5, output=2, cache_read=3, cache_creation=1, input_excludes_cache=True),
    ),
    "anthropic.complete": (
        "api.anthropic.com",
        {
            "id": "compl_1",
            "type": "completion",
            "completion": " Hi",
            "stop_reason": "stop_sequence",
            "model": "claude-2",
        },
        "stop_sequence",
        None,
    ),
    "gemini": (
        "generativelanguage.googleapis.com",
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "Hello"}], "role": "model"},
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
            "modelVersion": "gemini-x",
            "responseId": "g1",
        },
        "STOP",
        Usage(input=5, output=2),
    ),
    "interactions": (
        "generativelanguage.googleapis.com",
        {
            "id": "i1",
            "object": "interaction",
            "model": "gemini-x",
            "status": "completed",
            "outputs": [{"type": "text", "text": "Hello"}],
            "usage": {"total_input_tokens": 5, "total_output_tokens": 2, "total_tokens": 7},
        },
        "completed",
        Usage(input=5, output=2),
    ),
    "cohere.v2": (
        "api.cohere.com",
        {
            "id": "co1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 2},
                "tokens": {"input_tokens": 5, "output_tokens": 2},
            },
        },
        "COMPLETE",
        Usage(input=5, output=2),
    ),
    "cohere.v1": (
        "api.cohere.com",
        {
            "response_id": "co",
            "text": "Hello",
            "generation_id": "g",
            "chat_history": [],
            "finish_reason": "COMPLETE",
            "meta": {
                "api_version": {"version": "1"},
                "billed_units": {"input_tokens": 5, "output_tokens": 2},
                "tokens": {"input_tokens": 5, "output_tokens": 2},
            },
        },
        "COMPLETE",
        Usage(input=5, output=2),
    ),
    "ollama": (
        "127.0.0.1:11434",
        {
            "model": "llama",
            "created_at": "2026",
            "message": {"role": "assistant", "content": "Hello"},
            "done": True,
            "done_reason": "stop",
            "total_duration": 1,
            "prompt_eval_count": 5,
            "eval_count": 2,
        },
        "stop",
        Usage(input=5, output=2),
    ),
    "ollama.generate": (
        "127.0.0.1:11434",
        {
            "model": "llama",
            "created_at": "2026",
            "response": "Hello",
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 5,
            "eval_count": 2,
        },
        "stop",
        Usage(input=5, output=2),
    ),
    "mistral": (
        "api.mistral.ai",
        {
            "id": "m1",
            "object": "chat.completion",
            "model": "mistral-x",
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
            "created": 1,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "content": "Hello",
                        "tool_calls": None,
                        "prefix": False,
                        "role": "assistant",
                    },
                    "finish_reason": "stop",
                }
            ],
        },
        "stop",
        Usage(input=5, output=2),
    ),
    "groq": (
        "api.groq.com",
        {
            "id": "g1",
            "object": "chat.completion",
            "model": "llama-x",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
            "x_groq": {"id": "r"},
        },
        "tool_calls",
        Usage(input=5, output=2),
    ),
    "bedrock.converse": (
        "bedrock-runtime.us-east-1.amazonaws.com",
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
            "metrics": {"latencyMs": 10},
        },
        "end_turn",
        Usage(input=5, output=2, input_excludes_cache=True),
    ),
    "bedrock.invoke.claude": (
        "bedrock-runtime.us-east-1.amazonaws.com",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 5, "output_tokens": 2},
        },
        "end_turn",
        Usage(input=5, output=2, input_excludes_cache=True),
    ),
    "bedrock.invoke.llama": (
        "bedrock-runtime.us-east-1.amazonaws.com",
        {
            "generation": "Hello",
            "prompt_token_count": 5,
            "generation_token_count": 2,
            "stop_reason": "stop",
        },
        "stop",
        Usage(input=5, output=2),
    ),
    "bedrock.invoke.titan": (
        "bedrock-runtime.us-east-1.amazonaws.com",
        {
            "inputTextTokenCount": 5,
            "results": [{"tokenCount": 2, "outputText": "Hello", "completionReason": "FINISH"}],
        },
        "FINISH",
        Usage(input=5, output=2),
    ),
    "tgi": (
        "x.endpoints.huggingface.cloud",
        {
            "generated_text": "Hello",
            "details": {"finish_reason": "length", "generated_tokens": 2, "seed": 1, "prefill": []},
        },
        "length",
        Usage(output=2),
    ),
    "watsonx": (
        "us-south.ml.cloud.ibm.com",
        {
            "model_id": "ibm/g",
            "created_at": "2026",
            "results": [
                {
                    "generated_text": "Hello",
                    "generated_token_count": 2,
                    "input_token_count": 5,
                    "stop_reason": "eos_token",
                }
            ],
        },
        "eos_token",
        Usage(input=5, output=2),
    ),
}


def read(body: Any, host: str) -> list[Any]:
    decoder = decoder_for(content_type="application/json", host=host)
    data = json.dumps(body).encode()
    deltas = [delta for at in range(0, len(data), 50) for delta in decoder.feed(data[at : at + 50])]
    return [*deltas, *decoder.flush()]


@pytest.mark.parametrize("name", BODIES)
def test_a_whole_answer_says_what_a_stream_would(name: str) -> None:
    host, body, reason, usage = BODIES[name]
    deltas = read(body, host)
    assert [delta.reason for delta in deltas if isinstance(delta, Finish)] == [reason]
    assert [delta for delta in deltas if isinstance(delta, Usage)] == ([] if usage is None else [usage])
    texts = "".join(delta.text for delta in deltas if isinstance(delta, Text)).strip()
    assert texts in ("Hello", "Hi") or name in ("groq", "openai.responses.incomplete")


def test_a_whole_answer_that_failed_is_an_error() -> None:
    body = {
        "id": "r1",
        "object": "response",
        "model": "gpt-x-1",
        "status": "failed",
        "error": {"code": "server_error", "message": "later"},
    }
    assert read(body, "api.openai.com") == [
        Identity("r1", "gpt-x-1"),
        StreamError(code="server_error", message="later"),
    ]


@pytest.mark.parametrize(
    "body", [{"object": "response", "usage": 7, "output": {}}, {"generated_text": None}, [[]]]
)
def test_an_answer_with_nothing_in_it_is_read_without_a_fault(body: Any) -> None:
    assert not any(isinstance(delta, Usage) for delta in read(body, "example.com"))

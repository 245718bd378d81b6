"""Streams in the formats of the other providers."""

from __future__ import annotations

from typing import Any

from tests.corpus.writing import Stream, dumps, expect, ndjson, sse


def named(kind: str, **fields: Any) -> Any:
    return (kind, {"type": kind, **fields})


def block_delta(index: int, **delta: Any) -> Any:
    return named("content_block_delta", index=index, delta=delta)


START = named(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "model": "claude-x",
        "content": [],
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "output_tokens": 1,
        },
    },
)
CLAUDE: dict[str, Any] = {"id": "msg_1", "model": "claude-x"}


def stop(reason: str, output: int) -> list[Any]:
    usage = {"output_tokens": output}
    return [named("message_delta", delta={"stop_reason": reason}, usage=usage), named("message_stop")]


def gemini(parts: list[Any], finish: str | None = None, **usage: int) -> Any:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 4, **usage},
        "modelVersion": "gemini-x",
        "responseId": "g1",
    }


GEMINI = [
    gemini([{"text": "Let me", "thought": True}]),
    gemini([{"text": "Blue"}], candidatesTokenCount=1),
    gemini([{"text": ""}], "STOP", candidatesTokenCount=2, thoughtsTokenCount=5),
]
GEMINI_FACTS = expect(
    wire_events=3,
    reasoning=[(0, "Let me")],
    content=[(1, "Blue")],
    finish={0: "STOP"},
    finish_at=[2],
    usage=(4, 2, [0, 1, 2]),
    id="g1",
    model="gemini-x",
)


STREAMS = [
    Stream(
        "anthropic-thinking-tools.sse",
        sse(
            named("ping"),
            START,
            named("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
            block_delta(0, type="thinking_delta", thinking="Hm"),
            block_delta(0, type="signature_delta", signature="c2ln"),
            named("content_block_stop", index=0),
            named("content_block_start", index=1, content_block={"type": "text", "text": ""}),
            block_delta(1, type="text_delta", text="Searching"),
            named("content_block_stop", index=1),
            named(
                "content_block_start",
                index=2,
                content_block={"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
            ),
            block_delta(2, type="input_json_delta", partial_json=""),
            block_delta(2, type="input_json_delta", partial_json='{"q":"x"}'),
            named("content_block_stop", index=2),
            named(
                "content_block_start",
                index=3,
                content_block={"type": "web_search_tool_result", "content": []},
            ),
            *stop("end_turn", 30),
        ),
        expect(
            wire_events=16,
            reasoning=[(3, "Hm")],
            content=[(7, "Searching")],
            tools=[{"id": "s1", "name": "web_search", "type": "server_tool_use", "arguments": '{"q":"x"}'}],
            tool_events=[9, 10, 11],
            finish={0: "end_turn"},
            finish_at=[14],
            usage=(3, 30, [1, 14]),
            done=("message_stop", 15),
            pings=1,
            **CLAUDE,
        ),
        notes="a ping before all else; a signature is no text; the search is the server's tool",
        provider="anthropic",
        host="api.anthropic.com",
    ),
    Stream(
        "anthropic-overloaded.sse",
        sse(
            START,
            block_delta(0, type="text_delta", text="I"),
            named("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        ),
        expect(
            wire_events=3,
            content=[(1, "I")],
            usage=(3, 1, [0]),
            errors=[{"index": 2, "type": "overloaded_error", "message": "Overloaded"}],
            **CLAUDE,
        ),
        notes="an error event after the first token, and no end",
        host="api.anthropic.com",
    ),
    Stream(
        "anthropic-complete-snapshots.sse",
        sse(
            {"completion": " One", "stop_reason": None, "model": "claude-v1", "log_id": "l1"},
            {"completion": " One two", "stop_reason": None, "model": "claude-v1", "log_id": "l1"},
            {
                "completion": " One two",
                "stop_reason": "stop_sequence",
                "model": "claude-v1",
                "log_id": "l1",
            },
            "[DONE]",
            end="\r\n",
        ),
        expect(
            wire_events=4,
            content=[(0, " One"), (1, " two")],
            finish={0: "stop_sequence"},
            finish_at=[2],
            id="l1",
            model="claude-v1",
            done=("[DONE]", 3),
        ),
        notes="before 2023-06: snapshots, each event holds the text so far and has no name",
        host="api.anthropic.com",
    ),
    Stream(
        "gemini-crlf.sse",
        sse(*GEMINI, end="\r\n"),
        GEMINI_FACTS,
        notes="alt=sse; usage is a running total, without thoughts",
        host="generativelanguage.googleapis.com",
    ),
    Stream(
        "gemini-array.json",
        ("[" + ",\r\n".join(dumps(item) for item in GEMINI) + "]\n").encode(),
        GEMINI_FACTS,
        notes="one JSON array, sent piecemeal",
        host="generativelanguage.googleapis.com",
    ),
    Stream(
        "cohere-v2-text.sse",
        sse(
            named("message-start", id="c1", delta={"message": {"role": "assistant", "content": []}}),
            named("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}}),
            named("content-delta", index=0, delta={"message": {"content": {"text": "Oui"}}}),
            named("content-end", index=0),
            named(
                "message-end",
                delta={
                    "finish_reason": "COMPLETE",
                    "usage": {
                        "billed_units": {"input_tokens": 1, "output_tokens": 1},
                        "tokens": {"input_tokens": 60, "output_tokens": 2},
                    },
                },
            ),
            "[DONE]",
        ),
        expect(
            wire_events=6,
            content=[(2, "Oui")],
            finish={0: "COMPLETE"},
            finish_at=[4],
            usage=(60, 2, [4]),
            id="c1",
            done=("[DONE]", 5),
        ),
        notes="tokens are the usage, billed units are not",
        host="api.cohere.com",
    ),
    Stream(
        "cohere-v1-text.ndjson",
        ndjson(
            {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
            {"is_finished": False, "event_type": "text-generation", "text": "Ar"},
            {"is_finished": False, "event_type": "text-generation", "text": "rr"},
            {
                "is_finished": True,
                "event_type": "stream-end",
                "finish_reason": "COMPLETE",
                "response": {
                    "generation_id": "g",
                    "text": "Arrr",
                    "meta": {"tokens": {"input_tokens": 8, "output_tokens": 2}},
                },
            },
        ),
        expect(
            wire_events=4,
            content=[(1, "Ar"), (2, "rr")],
            finish={0: "COMPLETE"},
            finish_at=[3],
            usage=(8, 2, [3]),
            id="g",
            done=("stream-end", 3),
        ),
        notes="the end repeats the whole text",
        host="api.cohere.com",
        content_type="application/stream+json",
    ),
]

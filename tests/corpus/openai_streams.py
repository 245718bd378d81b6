"""Streams in the chat completions format and its dialects, each written around one trap."""

from __future__ import annotations

from typing import Any

from tests.corpus.writing import Stream, expect, sse

DONE = "[DONE]"
ID, MODEL = "chatcmpl-1", "gpt-x"


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **extra: Any
) -> Any:
    choice: dict[str, Any] = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": ID, "object": "chat.completion.chunk", "model": MODEL, "choices": [choice], **extra}


def call(index: int | None, name: str | None = None, arguments: str = "", id: str | None = None) -> Any:
    made: dict[str, Any] = {"function": {"arguments": arguments}}
    if name:
        made |= {"id": id, "type": "function"}
        made["function"]["name"] = name
    if index is not None:
        made["index"] = index
    return {"tool_calls": [made]}


ROLE = {"role": "assistant", "content": ""}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
KNOWN: dict[str, Any] = {"id": ID, "model": MODEL}

STREAMS = [
    Stream(
        "chat-role-first.sse",
        sse(
            chunk(ROLE), chunk({"content": "Hello"}), chunk({"content": " there"}), chunk({}, "stop"), DONE
        ),
        expect(
            wire_events=5,
            content=[(1, "Hello"), (2, " there")],
            finish={0: "stop"},
            finish_at=[3],
            done=(DONE, 4),
            **KNOWN,
        ),
        notes="the first chunk has a role and no text: it is not the first token",
        provider="openai",
        host="api.openai.com",
    ),
    Stream(
        "chat-usage-after-finish.sse",
        sse(
            chunk({"content": "Yes"}, usage=None),
            chunk({}, "stop", usage=None, tool_usage={"prompt_tokens": 99, "completion_tokens": 99}),
            {**chunk(), "choices": [], "usage": USAGE},
            DONE,
        ),
        expect(
            wire_events=4,
            content=[(0, "Yes")],
            finish={0: "stop"},
            finish_at=[1],
            usage=(7, 2, [2]),
            done=(DONE, 3),
            **KNOWN,
        ),
        notes="usage comes after the finish reason, without choices; before it a decoy, tool_usage",
    ),
    Stream(
        "chat-usage-in-x-groq.sse",
        sse(chunk({"content": "ok"}), chunk({}, "stop", x_groq={"id": "req_1", "usage": USAGE}), DONE),
        expect(
            wire_events=3,
            content=[(0, "ok")],
            finish={0: "stop"},
            finish_at=[1],
            usage=(7, 2, [1]),
            done=(DONE, 2),
            **KNOWN,
        ),
        notes="usage only in x_groq",
        provider="groq",
        host="api.groq.com",
    ),
    Stream(
        "chat-usage-in-choice.sse",
        sse(
            chunk({"content": "ok"}),
            {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
            DONE,
        ),
        expect(
            wire_events=3,
            content=[(0, "ok")],
            finish={0: "stop"},
            finish_at=[1],
            usage=(7, 2, [1]),
            done=(DONE, 2),
            **KNOWN,
        ),
        notes="usage inside the last choice (Moonshot)",
        host="api.moonshot.cn",
    ),
    Stream(
        "chat-no-choices-first.sse",
        sse(
            {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []},
            {**chunk(), "choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]},
            chunk({"content": "Hi"}),
            chunk({}, "content_filter"),
            DONE,
        ),
        expect(
            wire_events=5,
            content=[(2, "Hi")],
            finish={0: "content_filter"},
            finish_at=[3],
            done=(DONE, 4),
            **KNOWN,
        ),
        notes="a first chunk without choices, id and model, and a second without a delta (Azure)",
        host="x.openai.azure.com",
    ),
    Stream(
        "chat-list-content.sse",
        sse(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}),
            chunk(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "."}]},
                        {"type": "text", "text": "4"},
                    ]
                }
            ),
            chunk({"content": "2"}, "stop"),
            DONE,
        ),
        expect(
            wire_events=4,
            reasoning=[(0, "Hm"), (1, ".")],
            content=[(1, "4"), (2, "2")],
            finish={0: "stop"},
            finish_at=[2],
            done=(DONE, 3),
            **KNOWN,
        ),
        notes="content is a list of parts, then a string (Mistral)",
        host="api.mistral.ai",
    ),
    Stream(
        "chat-finish-repeated.sse",
        sse(
            ": OPENROUTER PROCESSING",
            chunk({"content": "a", "reasoning": None}),
            ": OPENROUTER PROCESSING",
            chunk({"content": ""}, "stop"),
            chunk({"content": ""}, "stop", usage=USAGE),
            DONE,
        ),
        expect(
            wire_events=4,
            content=[(0, "a")],
            finish={0: "stop"},
            finish_at=[1, 2],
            usage=(7, 2, [2]),
            done=(DONE, 3),
            **KNOWN,
        ),
        notes="the finish reason comes twice; comments are no wire events (OpenRouter)",
        host="openrouter.ai",
    ),
    Stream(
        "chat-two-choices.sse",
        sse(
            chunk({"content": "one"}),
            chunk({"content": "eins"}, index=1),
            chunk({"content": "!"}, index=1),
            chunk({}, "length", index=1),
            chunk({}, "stop"),
            DONE,
        ),
        expect(
            wire_events=6,
            content=[(0, "one")],
            others={1: [(1, "eins"), (2, "!")]},
            finish={0: "stop", 1: "length"},
            finish_at=[3, 4],
            done=(DONE, 5),
            **KNOWN,
        ),
        notes="n = 2, interleaved",
    ),
    Stream(
        "chat-error-with-status-200.sse",
        sse({"error": {"message": "no capacity", "type": "server_error", "code": 503}}),
        expect(
            wire_events=1,
            errors=[{"index": 0, "type": "server_error", "code": 503, "message": "no capacity"}],
        ),
        notes="HTTP 200, and the only event is an error",
    ),
    Stream(
        "chat-error-in-choice.sse",
        sse(
            chunk({"content": "so"}),
            {
                **chunk(),
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "error",
                        "error": {"code": 502, "message": "gone"},
                    }
                ],
            },
            DONE,
        ),
        expect(
            wire_events=3,
            content=[(0, "so")],
            finish={0: "error"},
            finish_at=[1],
            done=(DONE, 2),
            errors=[{"index": 1, "code": 502, "message": "gone"}],
            **KNOWN,
        ),
        notes="an error inside a choice (OpenRouter)",
    ),
    Stream(
        "chat-ids-change.sse",
        sse(
            {**chunk(call(0, "f", '{"a"', id="call_1")), "id": "one", "model": "first"},
            {
                **chunk({"tool_calls": [{"index": 0, "id": "call_2", "function": {"arguments": ":1}"}}]}),
                "id": "two",
            },
            {**chunk({}, "tool_calls"), "id": "three", "model": "last"},
            DONE,
        ),
        expect(
            wire_events=4,
            tools=[{"id": "call_1", "name": "f", "type": "function", "arguments": '{"a":1}'}],
            tool_events=[0, 1],
            finish={0: "tool_calls"},
            finish_at=[2],
            id="one",
            model="first",
            done=(DONE, 3),
        ),
        notes="the response's and the call's id change from chunk to chunk",
    ),
    Stream(
        "chat-calls-without-index.sse",
        sse(
            chunk(call(None, "f", '{"a":1}', id="x")),
            chunk(call(None, "g", '{"b"', id="y")),
            chunk(call(None, None, ":2}")),
            chunk({}, "tool_calls"),
            DONE,
        ),
        expect(
            wire_events=5,
            tools=[
                {"id": "x", "name": "f", "type": "function", "arguments": '{"a":1}'},
                {"id": "y", "name": "g", "type": "function", "arguments": '{"b":2}'},
            ],
            tool_events=[0, 1, 2],
            finish={0: "tool_calls"},
            finish_at=[3],
            done=(DONE, 4),
            **KNOWN,
        ),
        notes="tool calls without an index: each name starts one",
    ),
    Stream(
        "chat-function-call.sse",
        sse(
            chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk({}, "function_call"),
            DONE,
        ),
        expect(
            wire_events=4,
            tools=[{"id": None, "name": "f", "type": "function", "arguments": "{}"}],
            tool_events=[0, 1],
            finish={0: "function_call"},
            finish_at=[2],
            done=(DONE, 3),
            **KNOWN,
        ),
        notes="function_call, before there were tools",
    ),
]

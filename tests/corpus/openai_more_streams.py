"""More streams of OpenAI's kind: further dialects, and its other formats."""

from __future__ import annotations

from typing import Any

from tests.corpus.openai_streams import DONE, KNOWN, USAGE, chunk
from tests.corpus.writing import Stream, expect, sse


def snowflake(delta: dict[str, Any], usage: dict[str, Any] | None = None) -> Any:
    return {
        "id": "s1",
        "model": "claude",
        "created": 0,
        "choices": [{"delta": delta}],
        "usage": usage or {},
    }


def perplexity(delta: str, so_far: str, finish: str | None = None) -> Any:
    made = chunk(
        {"role": "assistant", "content": delta}, finish, citations=["https://example.org"], usage=USAGE
    )
    made["choices"][0]["message"] = {"role": "assistant", "content": so_far}
    return made


def completion(text: str, finish: str | None = None) -> Any:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "model": "davinci", "choices": [choice]}


def response(kind: str, **fields: Any) -> Any:
    return (f"response.{kind}", {"type": f"response.{kind}", **fields})


RESPONSE = {"id": "resp_1", "object": "response", "model": "gpt-x", "status": "in_progress", "usage": None}
ENDED = {
    **RESPONSE,
    "status": "completed",
    "output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Fine."}]}],
    "usage": {"input_tokens": 5, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}},
    "tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0}},
}
RUN = {"id": "run_1", "object": "thread.run", "model": "gpt-x", "status": "queued", "usage": None}


def message(value: str) -> Any:
    content = [{"index": 0, "type": "text", "text": {"value": value, "annotations": []}}]
    return (
        "thread.message.delta",
        {"id": "msg", "object": "thread.message.delta", "delta": {"content": content}},
    )


STREAMS = [
    Stream(
        "chat-snowflake-tool.sse",
        sse(
            snowflake(
                {"type": "text", "content": "Let me", "content_list": [{"type": "text"}], "text": "Let me"}
            ),
            snowflake(
                {"type": "tool_use", "tool_use_id": "t1", "name": "f", "content_list": [], "text": ""}
            ),
            snowflake({"type": "tool_use", "input": '{"a"', "content_list": [], "text": ""}),
            snowflake(
                {"type": "tool_use", "input": ":1}", "text": ""},
                {"prompt_tokens": 7, "completion_tokens": 2},
            ),
        ),
        expect(
            wire_events=4,
            content=[(0, "Let me")],
            tools=[{"id": "t1", "name": "f", "type": "tool_use", "arguments": '{"a":1}'}],
            tool_events=[1, 2, 3],
            usage=(7, 2, [3]),
            id="s1",
            model="claude",
        ),
        notes="tool use in the delta itself, usage an empty object until the end (Snowflake)",
        host="x.snowflakecomputing.com",
    ),
    Stream(
        "chat-perplexity-snapshots.sse",
        sse(perplexity("One", "One"), perplexity(" two", "One two"), perplexity("", "One two", "stop")),
        expect(
            wire_events=3,
            content=[(0, "One"), (1, " two")],
            finish={0: "stop"},
            finish_at=[2],
            usage=(7, 2, [0, 1, 2]),
            **KNOWN,
        ),
        notes="the text so far beside each delta must not count twice; no [DONE] (Perplexity)",
        host="api.perplexity.ai",
    ),
    Stream(
        "chat-whole-answer.sse",
        sse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": "gpt-x",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "All."},
                        "finish_reason": "stop",
                    }
                ],
                "usage": USAGE,
            },
            DONE,
        ),
        expect(
            wire_events=2,
            content=[(0, "All.")],
            finish={0: "stop"},
            finish_at=[0],
            usage=(7, 2, [0]),
            done=(DONE, 1),
            **KNOWN,
        ),
        notes="a server that does not stream: the whole answer as one event",
    ),
    Stream(
        "chat-reasoning-twice.sse",
        sse(
            ": keep-alive",
            chunk({"role": "assistant", "content": None, "reasoning": "Hm", "reasoning_content": "Hm"}),
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": ", yes"}]}),
            chunk({"content": "Yes"}, "stop"),
            DONE,
        ),
        expect(
            wire_events=4,
            reasoning=[(0, "Hm"), (1, ", yes")],
            content=[(2, "Yes")],
            finish={0: "stop"},
            finish_at=[2],
            done=(DONE, 3),
            **KNOWN,
        ),
        notes="the same reasoning under two keys (vLLM), reasoning only in details (OpenRouter)",
    ),
    Stream(
        "chat-minimax-error.sse",
        sse(
            chunk({"content": "Well"}),
            {"id": "", "choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
        ),
        expect(
            wire_events=2,
            content=[(0, "Well")],
            errors=[{"index": 1, "code": 1002, "message": "rate limit"}],
            **KNOWN,
        ),
        notes="an error under base_resp, without choices (MiniMax)",
    ),
    Stream(
        "completions-text.sse",
        sse(completion("It"), completion(" works"), completion("", "length"), DONE),
        expect(
            wire_events=4,
            content=[(0, "It"), (1, " works")],
            finish={0: "length"},
            finish_at=[2],
            id="cmpl-1",
            model="davinci",
            done=(DONE, 3),
        ),
        notes="legacy text completions",
        host="api.openai.com",
    ),
    Stream(
        "responses-text.sse",
        sse(
            response("created", response=RESPONSE),
            ("keepalive", {"type": "keepalive", "sequence_number": 1}),
            response(
                "reasoning_summary_text.delta", item_id="r", output_index=0, summary_index=0, delta="So"
            ),
            response(
                "reasoning_summary_text.done", item_id="r", output_index=0, summary_index=0, text="So"
            ),
            response("output_text.delta", item_id="m", output_index=1, content_index=0, delta="Fine"),
            response("output_text.delta", item_id="m", output_index=1, content_index=0, delta="."),
            response("output_text.done", item_id="m", output_index=1, content_index=0, text="Fine."),
            response("completed", response=ENDED),
        ),
        expect(
            wire_events=8,
            reasoning=[(2, "So")],
            content=[(4, "Fine"), (5, ".")],
            finish={0: "completed"},
            finish_at=[7],
            usage=(5, 3, [7]),
            id="resp_1",
            model="gpt-x",
            done=("response.completed", 7),
        ),
        notes="what deltas told comes again whole, twice; tool_usage is a decoy",
        host="api.openai.com",
    ),
    Stream(
        "assistants-run.sse",
        sse(
            ("thread.run.created", RUN),
            message("Good"),
            message(" day"),
            ("thread.run.completed", {**RUN, "status": "completed", "usage": USAGE}),
            ("done", DONE),
        ),
        expect(
            wire_events=5,
            content=[(1, "Good"), (2, " day")],
            finish={0: "completed"},
            finish_at=[3],
            usage=(7, 2, [3]),
            id="run_1",
            model="gpt-x",
            done=(DONE, 4),
        ),
        notes="what an event is stands in its name only",
        host="api.openai.com",
    ),
]

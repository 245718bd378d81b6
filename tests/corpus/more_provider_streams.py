"""Streams of servers and frameworks, and of applications of one's own."""

from __future__ import annotations

from typing import Any

from tests.corpus.writing import Stream, dumps, expect, ndjson, sse


def ollama(content: str, **fields: Any) -> Any:
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    return {
        "model": "llama",
        "created_at": "2026-01-01T00:00:00Z",
        "message": message,
        "done": False,
        **fields,
    }


def tgi(text: str, special: bool = False, **end: Any) -> Any:
    token = {"id": 1, "text": text, "logprob": -0.1, "special": special}
    return {"index": 1, "token": token, "generated_text": None, "details": None, **end}


def watsonx(text: str, given: int, made: int, reason: str = "not_finished") -> Any:
    result = {"generated_text": text, "input_token_count": given, "generated_token_count": made}
    return ("message", {"model_id": "flan", "results": [{**result, "stop_reason": reason}]})


def interaction(kind: str, **fields: Any) -> Any:
    return (kind, {"event_type": kind, **fields})


def lc(content: str, kind: str = "AIMessageChunk", **fields: Any) -> Any:
    return {"content": content, "type": kind, "id": "run-1", "response_metadata": {}, **fields}


def lines(*pairs: tuple[str, Any]) -> bytes:
    return "".join(f"{letter}:{dumps(value)}\n" for letter, value in pairs).encode()


STREAMS = [
    Stream(
        "ollama-chat-tools.ndjson",
        ndjson(
            ollama("", message={"thinking": "Hm"}),
            ollama("", message={"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}),
            ollama("Ok"),
            ollama("", done=True, done_reason="stop", prompt_eval_count=4, eval_count=9),
        ).removesuffix(b"\n"),
        expect(
            wire_events=4,
            reasoning=[(0, "Hm")],
            tools=[{"id": None, "name": "f", "type": "function", "arguments_object": {"a": 1}}],
            tool_events=[1],
            content=[(2, "Ok")],
            finish={0: "stop"},
            finish_at=[3],
            usage=(4, 9, [3]),
            model="llama",
            done=("done:true", 3),
        ),
        notes="arguments are an object; the last line has no end",
        host="127.0.0.1:11434",
    ),
    Stream(
        "ollama-error.ndjson",
        ndjson(ollama("I"), {"error": "model runner has stopped"}),
        expect(
            wire_events=2,
            content=[(0, "I")],
            model="llama",
            errors=[{"index": 1, "message": "model runner has stopped"}],
        ),
        notes="an error as a line of its own",
        host="127.0.0.1:11434",
    ),
    Stream(
        "interactions-text.sse",
        sse(
            interaction(
                "interaction.created",
                interaction={"id": "v1", "model": "gemini-x", "status": "in_progress"},
            ),
            interaction("step.start", index=0, step={"type": "thought"}),
            interaction(
                "step.delta",
                index=0,
                delta={"type": "thought_summary", "content": {"type": "text", "text": "Hm"}},
                metadata={"usage": {"total_input_tokens": 5, "total_output_tokens": 0}},
            ),
            interaction("step.stop", index=0),
            interaction("step.start", index=1, step={"type": "model_output"}),
            interaction("step.delta", index=1, delta={"type": "text", "text": "Sky"}),
            interaction("step.stop", index=1),
            interaction(
                "interaction.completed",
                interaction={
                    "id": "v1",
                    "model": "gemini-x",
                    "status": "completed",
                    "usage": {"total_input_tokens": 5, "total_output_tokens": 2, "total_thought_tokens": 9},
                },
            ),
            ("done", "[DONE]"),
        ),
        expect(
            wire_events=9,
            reasoning=[(2, "Hm")],
            content=[(5, "Sky")],
            finish={0: "completed"},
            finish_at=[7],
            usage=(5, 2, [7]),
            id="v1",
            model="gemini-x",
            done=("[DONE]", 8),
        ),
        notes="usage under way is a forecast, not counted",
        host="generativelanguage.googleapis.com",
    ),
    Stream(
        "tgi-generate.sse",
        sse(
            tgi("Deep"),
            tgi(" sea"),
            tgi(
                "</s>",
                special=True,
                generated_text="Deep sea",
                details={"finish_reason": "eos_token", "generated_tokens": 3, "prefill": []},
            ),
            space="",
        ),
        expect(
            wire_events=3,
            content=[(0, "Deep"), (1, " sea")],
            finish={0: "eos_token"},
            finish_at=[2],
            usage=(None, 3, [2]),
            done=("generated_text!=null", 2),
        ),
        notes="no space after the colon; the end repeats the text, in an event whose token is special",
    ),
    Stream(
        "watsonx-text.sse",
        sse(watsonx("", 8, 0), watsonx("sun", 0, 1), watsonx("rise", 0, 2, "eos_token")),
        expect(
            wire_events=3,
            content=[(1, "sun"), (2, "rise")],
            finish={0: "eos_token"},
            finish_at=[2],
            usage=(8, 2, [0, 1, 2]),
            model="flan",
        ),
        notes="not_finished is no finish reason; input tokens only in the first event, 0 in the others",
        host="us-south.ml.cloud.ibm.com",
    ),
    Stream(
        "replicate-text.sse",
        sse(("output", ""), ("output", "A joke:\n\nwhy"), ("output", "?"), ("done", "{}"), ": hi"),
        expect(wire_events=4, content=[(1, "A joke:\n\nwhy"), (2, "?")], done=("event:done", 3)),
        notes="plain text; an empty output; line breaks as further data lines; a comment after the end",
        host="stream.replicate.com",
    ),
    Stream(
        "vercel-ui-text.sse",
        sse(
            {"type": "start", "messageId": "m1"},
            {"type": "reasoning-start", "id": "r"},
            {"type": "reasoning-delta", "id": "r", "delta": "Hm"},
            {"type": "text-start", "id": "t"},
            {"type": "text-delta", "id": "t", "delta": "Hey"},
            {"type": "text-end", "id": "t"},
            {"type": "finish", "finishReason": "stop"},
            "[DONE]",
        ),
        expect(
            wire_events=8,
            reasoning=[(2, "Hm")],
            content=[(4, "Hey")],
            finish={0: "stop"},
            finish_at=[6],
            id="m1",
            done=("[DONE]", 7),
        ),
        notes="the UI message stream",
    ),
    Stream(
        "vercel-data-text.txt",
        lines(
            ("f", {"messageId": "m1"}),
            ("g", "Hm"),
            ("0", "Hey"),
            ("0", ": you"),
            ("e", {"finishReason": "stop", "usage": {"promptTokens": 4, "completionTokens": 3}}),
            ("d", {"finishReason": "stop", "usage": {"promptTokens": 4, "completionTokens": 3}}),
        ),
        expect(
            wire_events=6,
            reasoning=[(1, "Hm")],
            content=[(2, "Hey"), (3, ": you")],
            finish={0: "stop"},
            finish_at=[5],
            usage=(4, 3, [5]),
            id="m1",
            done=("d", 5),
        ),
        notes="the data stream of older versions: a letter, a colon, a JSON value",
    ),
    Stream(
        "langserve-text.sse",
        sse(
            ("metadata", {"run_id": "r1"}),
            ("data", lc("")),
            ("data", lc("Bon")),
            ("data", lc("jour", usage_metadata={"input_tokens": 4, "output_tokens": 3})),
            ("data", lc("", response_metadata={"finish_reason": "stop", "model_name": "gpt-x"})),
            ("end", None),
            end="\r\n",
        ),
        expect(
            wire_events=5,
            content=[(2, "Bon"), (3, "jour")],
            finish={0: "stop"},
            finish_at=[4],
            usage=(4, 3, [3]),
            id="r1",
            model="gpt-x",
            done=("event:end", None),
        ),
        notes="the end is a named event without data, which by the rules does not happen",
    ),
    Stream(
        "langgraph-partial.sse",
        sse(
            ("metadata", {"run_id": "r1", "attempt": 1}),
            ("values", {"messages": [{"content": "hi", "type": "human"}]}),
            ("messages/partial", [lc("Bon", "ai")]),
            ("messages/partial", [lc("Bonjour", "ai")]),
            ("messages/partial", [lc("Bonjour", "ai", response_metadata={"finish_reason": "stop"})]),
            ("values", {"messages": [lc("Bonjour", "ai")]}),
        ),
        expect(
            wire_events=6,
            content=[(2, "Bon"), (3, "jour")],
            finish={0: "stop"},
            finish_at=[4],
            id="r1",
        ),
        notes="messages hold the text so far, values the whole state: neither counts twice",
    ),
    Stream(
        "own-json.sse",
        sse({"token": ""}, {"token": "Tag"}, {"token": "!"}, {"done": True}),
        expect(wire_events=4, content=[(1, "Tag"), (2, "!")], done=("done", 3)),
        notes="an application's own JSON, its text under a usual key",
    ),
    Stream(
        "own-text.sse",
        sse("Gute", " Nacht", '{"', "\n", ("end", "")),
        expect(
            wire_events=5,
            content=[(0, "Gute"), (1, " Nacht"), (2, '{"'), (3, "\n")],
            done=("event:end", 4),
        ),
        notes="an application's own text, a token per event, one of them the beginning of JSON",
    ),
]

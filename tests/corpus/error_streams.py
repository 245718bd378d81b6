"""How each format tells an error after the headers have said success, and what else no other stream has."""

from __future__ import annotations

from typing import Any

from tests.corpus.bedrock_streams import invoked
from tests.corpus.more_provider_streams import interaction, lc, lines, tgi, watsonx
from tests.corpus.openai_more_streams import RESPONSE, RUN, completion, message, response
from tests.corpus.openai_streams import USAGE
from tests.corpus.provider_streams import CLAUDE, START, block_delta, gemini, named, stop
from tests.corpus.writing import Stream, expect, frame, sse

OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


def failing(at: int, message: str, type: str | None = None, code: Any = None) -> dict[str, Any]:
    """Return the `errors` of a stream that fails once."""
    error = {"index": at, "type": type, "code": code, "message": message}
    return {"errors": [{key: value for key, value in error.items() if value is not None}]}


STREAMS = [
    Stream(
        "gemini-error.sse",
        sse(
            gemini([{"text": "Blue"}]),
            {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
        ),
        expect(
            wire_events=2,
            content=[(0, "Blue")],
            usage=(4, None, [0]),
            id="g1",
            model="gemini-x",
            **failing(1, "The model is overloaded.", "UNAVAILABLE", 503),
        ),
        notes="an error object in place of a chunk",
        host="generativelanguage.googleapis.com",
    ),
    Stream(
        "bedrock-invoke-error.eventstream",
        invoked({"generation": "Ja", "prompt_token_count": 6, "generation_token_count": 1})
        + frame(
            {"message": "The model failed.", "originalStatusCode": 500},
            exception_type="modelStreamErrorException",
            message_type="exception",
        ),
        expect(
            wire_events=2,
            content=[(0, "Ja")],
            usage=(6, 1, [0]),
            **failing(1, "The model failed.", "modelStreamErrorException", 500),
        ),
        notes="an exception frame among chunks",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
    Stream(
        "cohere-v2-error.sse",
        sse(
            named("message-start", id="c1", delta={"message": {"role": "assistant"}}),
            named("content-delta", index=0, delta={"message": {"content": {"text": "Oui"}}}),
            named("message-end", delta={"finish_reason": "ERROR", "error": "internal server error"}),
        ),
        expect(
            wire_events=3,
            content=[(1, "Oui")],
            finish={0: "ERROR"},
            finish_at=[2],
            id="c1",
            done=("message-end", 2),
            **failing(2, "internal server error"),
        ),
        notes="the end carries the error",
        host="api.cohere.com",
    ),
    Stream(
        "assistants-failed.sse",
        sse(
            ("thread.run.created", RUN),
            message("Good"),
            (
                "thread.run.failed",
                {
                    **RUN,
                    "status": "failed",
                    "last_error": {"code": "rate_limit_exceeded", "message": "Slow down."},
                },
            ),
            ("done", "[DONE]"),
        ),
        expect(
            wire_events=4,
            content=[(1, "Good")],
            finish={0: "failed"},
            finish_at=[2],
            id="run_1",
            model="gpt-x",
            done=("[DONE]", 3),
            **failing(2, "Slow down.", code="rate_limit_exceeded"),
        ),
        notes="a run that fails has its last error",
        host="api.openai.com",
    ),
    Stream(
        "completions-usage-error.sse",
        sse(
            completion("It"),
            {**completion(""), "choices": [], "usage": USAGE},
            {"error": {"message": "shutting down", "type": "server_error", "code": 500}},
        ),
        expect(
            wire_events=3,
            content=[(0, "It")],
            usage=(7, 2, [1]),
            id="cmpl-1",
            model="davinci",
            **failing(2, "shutting down", "server_error", 500),
        ),
        notes="usage without choices, then an error",
    ),
    Stream(
        "interactions-error.sse",
        sse(
            interaction("interaction.created", interaction={"id": "v1", "model": "gemini-x"}),
            interaction("error", error={"code": "internal", "message": "Something broke."}),
        ),
        expect(wire_events=2, id="v1", model="gemini-x", **failing(1, "Something broke.", code="internal")),
        notes="an error event",
        host="generativelanguage.googleapis.com",
    ),
    Stream(
        "anthropic-complete-error.sse",
        sse(
            named("completion", completion=" One", stop_reason=None, model="claude-2", id="compl_1"),
            ("error", {"error": OVERLOADED}),
            end="\r\n",
        ),
        expect(
            wire_events=2,
            content=[(0, " One")],
            id="compl_1",
            model="claude-2",
            **failing(1, "Overloaded", "overloaded_error"),
        ),
        notes="an error event of the legacy form",
        host="api.anthropic.com",
    ),
    Stream(
        "watsonx-error.sse",
        sse(
            watsonx("sun", 8, 1),
            ("error", {"errors": [{"code": "rate_limit", "message": "Too fast."}], "status_code": 429}),
        ),
        expect(
            wire_events=2,
            content=[(0, "sun")],
            usage=(8, 1, [0]),
            model="flan",
            **failing(1, "Too fast.", code="rate_limit"),
        ),
        notes="errors are a list",
        host="us-south.ml.cloud.ibm.com",
    ),
    Stream(
        "replicate-error.sse",
        sse(("output", "A"), ("error", {"detail": "Out of memory."}), ("done", {"reason": "error"})),
        expect(
            wire_events=3,
            content=[(0, "A")],
            finish={0: "error"},
            finish_at=[2],
            done=("event:done", 2),
            **failing(1, "Out of memory."),
        ),
        notes="an error, and an end that says so",
        host="stream.replicate.com",
    ),
    Stream(
        "vercel-data-error.txt",
        lines(("f", {"messageId": "m1"}), ("0", "Hey"), ("3", "No more.")),
        expect(wire_events=3, content=[(1, "Hey")], id="m1", **failing(2, "No more.")),
        notes="3 is an error",
    ),
    Stream(
        "langgraph-error.sse",
        sse(
            ("metadata", {"run_id": "r1", "attempt": 1}),
            ("messages", [lc("Bon"), {"langgraph_node": "model"}]),
            ("error", {"error": "ValueError", "message": "no such tool"}),
            end="\r\n",
        ),
        expect(wire_events=3, content=[(1, "Bon")], id="r1", **failing(2, "no such tool", "ValueError")),
        notes="an error event; messages are pieces beside their metadata",
    ),
    Stream(
        "langserve-error.sse",
        sse(
            ("metadata", {"run_id": "r1"}),
            ("data", lc("Bon")),
            ("error", {"status_code": 500, "message": "Internal Server Error"}),
            end="\r\n",
        ),
        expect(
            wire_events=3, content=[(1, "Bon")], id="r1", **failing(2, "Internal Server Error", code=500)
        ),
        notes="an error event, and no end",
    ),
    Stream(
        "responses-failed.sse",
        sse(
            response("created", response=RESPONSE),
            ("error", {"type": "error", "code": "quota", "message": "No more.", "param": None}),
            response(
                "failed",
                response={
                    **RESPONSE,
                    "status": "failed",
                    "error": {"code": "quota", "message": "No more."},
                },
            ),
        ),
        expect(
            wire_events=3,
            finish={0: "failed"},
            finish_at=[2],
            id="resp_1",
            model="gpt-x",
            done=("response.failed", 2),
            errors=[
                {"index": 1, "code": "quota", "message": "No more."},
                {"index": 2, "code": "quota", "message": "No more."},
            ],
        ),
        notes="an error event, then the failed response, which says it again",
        host="api.openai.com",
    ),
    Stream(
        "tgi-error.sse",
        sse(
            tgi("Deep"), {"error": "Request failed during generation", "error_type": "generation"}, space=""
        ),
        expect(
            wire_events=2,
            content=[(0, "Deep")],
            **failing(1, "Request failed during generation", "generation"),
        ),
        notes="an error in place of a token",
    ),
    Stream(
        "vercel-ui-error.sse",
        sse(
            {"type": "start", "messageMetadata": {"usage": {"inputTokens": 4, "outputTokens": 3}}},
            {"type": "text-delta", "id": "t", "delta": "Hey"},
            {"type": "error", "errorText": "No more."},
            {"type": "finish", "finishReason": "error"},
            "[DONE]",
        ),
        expect(
            wire_events=5,
            content=[(1, "Hey")],
            finish={0: "error"},
            finish_at=[3],
            usage=(4, 3, [0]),
            done=("[DONE]", 4),
            **failing(2, "No more."),
        ),
        notes="an error part; usage only because the application sends it as metadata",
    ),
    Stream(
        "bedrock-invoke-anthropic.eventstream",
        b"".join(
            invoked(payload)
            for _, payload in (
                START,
                block_delta(0, type="text_delta", text="Ja"),
                *stop("end_turn", 9),
            )
        ),
        expect(
            wire_events=4,
            content=[(1, "Ja")],
            finish={0: "end_turn"},
            finish_at=[2],
            usage=(3, 9, [0, 2]),
            done=("message_stop", 3),
            **CLAUDE,
        ),
        notes="Anthropic's events inside chunk frames",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
]

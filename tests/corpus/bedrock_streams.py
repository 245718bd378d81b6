"""Streams of AWS Bedrock: frames, and other providers' payloads inside them."""

from __future__ import annotations

import base64
from typing import Any

from tests.corpus.writing import Stream, dumps, event, expect, frame


def invoked(payload: Any) -> bytes:
    return event("chunk", {"bytes": base64.b64encode(dumps(payload).encode()).decode(), "p": "abc"})


METRICS = {"inputTokenCount": 6, "outputTokenCount": 2, "invocationLatency": 9, "firstByteLatency": 3}

STREAMS = [
    Stream(
        "bedrock-converse-text.eventstream",
        event("messageStart", {"role": "assistant"})
        + event(
            "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm"}}}
        )
        + event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Ja"}})
        + event("contentBlockStop", {"contentBlockIndex": 1})
        + event("messageStop", {"stopReason": "end_turn"})
        + event("metadata", {"usage": {"inputTokens": 6, "outputTokens": 2}, "metrics": {"latencyMs": 9}}),
        expect(
            wire_events=6,
            reasoning=[(1, "Hm")],
            content=[(2, "Ja")],
            finish={0: "end_turn"},
            finish_at=[4],
            usage=(6, 2, [5]),
            done=("messageStop", 4),
            after_done=1,
        ),
        notes="usage after the done event",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
    Stream(
        "bedrock-converse-throttled.eventstream",
        event("messageStart", {"role": "assistant"})
        + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Ja"}})
        + frame(
            {"message": "Too many tokens"}, exception_type="throttlingException", message_type="exception"
        ),
        expect(
            wire_events=3,
            content=[(1, "Ja")],
            errors=[{"index": 2, "type": "throttlingException", "message": "Too many tokens"}],
        ),
        notes="an exception frame ends the stream",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
    Stream(
        "bedrock-invoke-llama.eventstream",
        invoked(
            {"generation": "Ja", "prompt_token_count": 6, "generation_token_count": 1, "stop_reason": None}
        )
        + invoked(
            {
                "generation": "wohl",
                "prompt_token_count": None,
                "generation_token_count": 2,
                "stop_reason": None,
            }
        )
        + invoked(
            {
                "generation": "",
                "generation_token_count": 2,
                "stop_reason": "stop",
                "amazon-bedrock-invocationMetrics": METRICS,
            }
        ),
        expect(
            wire_events=3,
            content=[(0, "Ja"), (1, "wohl")],
            finish={0: "stop"},
            finish_at=[2],
            usage=(6, 2, [0, 1, 2]),
        ),
        notes="Llama inside chunk frames",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
    Stream(
        "bedrock-invoke-titan.eventstream",
        invoked({"outputText": "Ja", "index": 0, "completionReason": None, "inputTextTokenCount": 6})
        + invoked(
            {
                "outputText": "",
                "index": 0,
                "totalOutputTextTokenCount": 2,
                "completionReason": "FINISH",
                "amazon-bedrock-invocationMetrics": METRICS,
            }
        ),
        expect(
            wire_events=2, content=[(0, "Ja")], finish={0: "FINISH"}, finish_at=[1], usage=(6, 2, [0, 1])
        ),
        notes="Titan inside chunk frames",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
    ),
]

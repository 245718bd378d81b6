"""All providers on loopback, who write the time into their first token; bench_ttft runs it in a process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

THINKING_S = 0.003

Body = dict[str, Any]


def _sse(*bodies: Body, named: bool = False) -> bytes:
    return b"".join(
        (b"event: %s\n" % body["type"].encode() if named else b"")
        + b"data: %s\n\n" % json.dumps(body).encode()
        for body in bodies
    )


def _lines(*bodies: Body) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


@dataclass(frozen=True)
class Script:
    """What one provider sends before its first token, as a token, and at the end."""

    before: bytes
    token: Callable[[str], bytes]
    end: bytes
    content_type: str = "text/event-stream"


def _chat(**choice: Any) -> Body:
    made = {"index": 0, "delta": {}, "finish_reason": None, **choice}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [made]}


def _chat_token(text: str) -> bytes:
    return _sse(_chat(delta={"content": text}))


_RESPONSE: Body = {
    "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
}  # fmt: skip
_MESSAGE: Body = {
    "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip


def _response_token(text: str) -> bytes:
    delta = {"item_id": "i", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []}
    return _sse({"type": "response.output_text.delta", "sequence_number": 1, **delta}, named=True)


def _message_token(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _sse({"type": "content_block_delta", "index": 0, "delta": delta}, named=True)


def _gemini(text: str, **more: Any) -> bytes:
    content = {"role": "model", "parts": [{"text": text}]}
    return _sse({"candidates": [{"index": 0, "content": content, **more}], "modelVersion": "m"})


def _cohere_token(text: str) -> bytes:
    delta = {"message": {"content": {"text": text}}}
    return _sse({"type": "content-delta", "index": 0, "delta": delta}, named=True)


def _ollama(text: str, **more: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    return _lines(
        {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False, **more}
    )


CHAT = Script(
    _sse(_chat(delta={"role": "assistant", "content": ""})),
    _chat_token,
    _sse(_chat(finish_reason="stop")) + b"data: [DONE]\n\n",
)
#: The end of a path -> what is sent there.
SCRIPTS: dict[str, Script] = {
    "/chat/completions": CHAT,
    "/responses": Script(
        _sse({"type": "response.created", "sequence_number": 0, "response": _RESPONSE}, named=True),
        _response_token,
        _sse(
            {
                "type": "response.completed",
                "sequence_number": 9,
                "response": {**_RESPONSE, "status": "completed"},
            },
            named=True,
        ),
    ),
    "/messages": Script(
        _sse(
            {"type": "message_start", "message": _MESSAGE},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            named=True,
        ),
        _message_token,
        _sse(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
            named=True,
        ),
    ),
    ":streamGenerateContent": Script(b"", _gemini, _gemini("", finishReason="STOP")),
    "/v2/chat": Script(
        _sse(
            {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
            {
                "type": "content-start",
                "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}},
            },
            named=True,
        ),
        _cohere_token,
        _sse(
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
            named=True,
        ),
    ),
    "/api/chat": Script(
        b"", _ollama, _ollama("", done=True, done_reason="stop", eval_count=3), "application/x-ndjson"
    ),
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def send(body: bytes) -> None:
        if body:
            writer.write(b"%x\r\n%s\r\n" % (len(body), body))

    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].partition(b"?")[0].decode()
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
            script = next(script for end, script in SCRIPTS.items() if path.endswith(end))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n" % script.content_type.encode())
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            send(script.before)
            await asyncio.sleep(THINKING_S)
            send(script.token(str(monotonic_ns())))
            for word in (" two", " three"):
                send(script.token(word))
            send(script.end)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


async def serve_forever(tell: Callable[[int], object]) -> None:
    """Serve on a free port of loopback, which `tell` is told."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()

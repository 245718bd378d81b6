"""A stand-in for a provider, on loopback: answers like one, at the pace of one, without key or network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["Streams", "are", "rivers", "you", "can", "count."]
FIRST_TOKEN_S = 0.15
TOKEN_S = 0.02


def openai_events() -> Iterator[str]:
    """Yield an answer in the form of OpenAI's chat completions."""

    def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-demo-1"}
        return f"data: {json.dumps({**body, 'choices': [choice], **more})}\n\n"

    yield event({"role": "assistant", "content": ""})
    for word in WORDS:
        yield event({"content": word + " "})
    yield event({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17})
    yield "data: [DONE]\n\n"


def anthropic_events() -> Iterator[str]:
    """Yield an answer in the form of Anthropic's messages."""

    def event(kind: str, **body: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n"

    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-demo-1",
        "content": [],
    }
    usage = {"input_tokens": 9, "output_tokens": 1}
    yield event("message_start", message={**message, "content": [], "usage": usage})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in WORDS:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word + " "})
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 8})
    yield event("message_stop")


class Handler(BaseHTTPRequestHandler):
    """Answers every POST with a stream: Anthropic's at its path, OpenAI's elsewhere."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for index, event in enumerate(anthropic_events() if "messages" in self.path else openai_events()):
            time.sleep(FIRST_TOKEN_S if index == 1 else TOKEN_S)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event.encode()))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def replaying() -> Iterator[str]:
    """Serve as long as the block lasts, and yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()

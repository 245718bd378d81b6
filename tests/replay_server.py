"""A provider on loopback: answers every request with what it was told to, piece by piece.

It runs on threads of its own, so that any event loop, or none, can talk to it. Nothing in it waits for a
clock: a reply that is to pause does so until the test opens its gate.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
RECORDINGS = Path(os.environ.get("FIRSTTOKEN_CORPUS", Path(__file__).parents[2] / "shared" / "streams"))
GATE_TIMEOUT_S = 30


@dataclass
class Reply:
    """One answer.

    pieces: of the body, each sent and flushed on its own.
    gates: index of a piece -> what must be set before it is sent.
    cut: break the connection off after the pieces, in place of ending the body.
    """

    pieces: Sequence[bytes]
    content_type: str = "text/event-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gates: dict[int, threading.Event] = field(default_factory=dict)
    cut: bool = False


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away: that is what they are told to do."""


class ReplayServer:
    """Where it listens, what it is to answer, and what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.received: list[Received] = []
        self.broken = threading.Event()
        """Set when a client went away while it was being answered."""
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"

    def answer(self, *replies: Reply) -> None:
        """Answer the next requests with these, in turn; the last one stays."""
        self.replies = list(replies)

    def _next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                replay.received.append(Received(self.command, self.path, headers, body))
                try:
                    self._answer(replay._next_reply())
                except OSError:
                    replay.broken.set()
                    self.close_connection = True

            do_GET = do_POST

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                self.send_header("content-type", reply.content_type)
                self.send_header("transfer-encoding", "chunked")
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for index, piece in enumerate(reply.pieces):
                    gate = reply.gates.get(index)
                    if gate is not None and not gate.wait(GATE_TIMEOUT_S):
                        raise OSError("nobody opened the gate")
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                if reply.cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    @contextmanager
    def serving(self) -> Iterator[ReplayServer]:
        """Serve as long as the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def recorded(name: str) -> bytes:
    """Return a body of our own corpus."""
    return (CORPUS / name).read_bytes()


def cases() -> list[tuple[str, Path, dict[str, Any]]]:
    """Return (name, file, facts) of every body of both corpora that is at hand."""
    found = []
    for folder in (CORPUS, RECORDINGS):
        manifest = folder / "manifest.json"
        if manifest.exists():
            for entry in json.loads(manifest.read_text()):
                found.append((entry["file"], folder / entry["file"], entry))
    return found


def cut(body: bytes, size: int = 97) -> list[bytes]:
    """Return `body` in pieces of `size` bytes, which fall where they fall."""
    return [body[at : at + size] for at in range(0, len(body), size)] or [b""]


def sse_pieces(body: bytes) -> list[bytes]:
    """Return an SSE body event by event."""
    return [event + b"\n\n" for event in body.split(b"\n\n") if event.strip()]

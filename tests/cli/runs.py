"""Runs of `firsttoken demo` as a user starts it, and servers for it to talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

CORPUS = Path(__file__).parent.parent / "corpus"
SHARED = Path(os.environ.get("FIRSTTOKEN_CORPUS", Path(__file__).parents[3] / "shared" / "streams"))
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "FIRSTTOKEN_"))
}
ENVIRON["NO_PROXY"] = "*"
#: Nobody looks for a collector at the usual place: there may be one on the machine that runs the tests.
ALONE = {**ENVIRON, "OTEL_TRACES_EXPORTER": "none"}
TIMEOUT_S = 60


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "firsttoken", "demo", "--seconds", "4", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**(ENVIRON if environ else ALONE), **environ},
    )


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Run:
        out, err = process.communicate(timeout=TIMEOUT_S)
        return cls(process.returncode, out, err)

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def stream(self, client: str) -> dict[str, Any]:
        return next(stream for stream in self.document["streams"] if stream["client"] == client)

    def causes(self, client: str) -> set[str]:
        return {stall["cause"] for stall in self.stream(client)["told"]["stalls"]}


class Handler(BaseHTTPRequestHandler):
    """Takes a request, remembers it, and answers as its server says."""

    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, answer: bytes = b"") -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.answer = [], (status, answer)
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

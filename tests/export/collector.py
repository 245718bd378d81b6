"""A collector on loopback that misbehaves as told. Real sockets, no sleeps.

Each request takes the next behaviour of the script; when the script is over, everything is accepted. What
was accepted is kept as parsed spans.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from firsttoken.export._otlp_json import to_protobuf


@dataclass
class Request:
    """One request as it came: header names in lower case, the body inflated."""

    path: str
    headers: dict[str, str]
    body: bytes

    def parsed(self) -> ExportTraceServiceRequest:
        """Return the message, whichever encoding it came in."""
        body = to_protobuf(self.body) if "json" in self.headers["content-type"] else self.body
        return ExportTraceServiceRequest.FromString(body)

    def spans(self) -> list[Span]:
        return [
            span
            for group in self.parsed().resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]


@dataclass
class Collector:
    """Runs until `close`; `url` is the traces endpoint.

    script: behaviours, one for each request; then `default` for all others.
    """

    script: deque[Behaviour] = field(default_factory=deque)
    default: Behaviour | None = None
    context: ssl.SSLContext | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.requests: list[Request] = []
        self.accepted: list[Span] = []
        self.stopped = threading.Event()
        self.got_request = threading.Event()
        self.got_hanging = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]
        scheme = "https" if self.context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/v1/traces"
        self._start(self._listen)

    def then(self, *behaviours: Behaviour) -> Collector:
        """Add to the script."""
        self.script.extend(behaviours)
        return self

    def close(self) -> None:
        """Stop at once; everything that hangs is let go."""
        self.stopped.set()
        with self._lock:
            # Closing alone does not wake a thread that waits for a connection.
            for each in [self._server, *self._connections]:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._server.close()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(raw, server_side=True)
            with connection, connection.makefile("rb") as reader:
                while not self.stopped.is_set():
                    if not self._one(connection, reader):
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(raw)
            raw.close()

    def _one(self, connection: socket.socket, reader: Iterable[bytes]) -> bool:
        first = reader.readline().decode()
        if not first:
            return False
        headers = {}
        for line in iter(reader.readline, b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip(" \t\r\n")
        with self._lock:
            behaviour = self.script.popleft() if self.script else self.default or accept
        if getattr(behaviour, "before_body", False):
            return behaviour(self, connection, None)
        body = reader.read(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = Request(first.split(" ")[1], headers, body)
        self.requests.append(request)
        self.got_request.set()
        return behaviour(self, connection, request)


Behaviour = Callable[[Collector, socket.socket, "Request | None"], bool]


def _respond(connection: socket.socket, code: int, headers: dict[str, str], body: bytes) -> None:
    lines = [f"HTTP/1.1 {code} X", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append(f"content-length: {len(body)}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def accept(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Take the spans and say nothing more."""
    assert request is not None
    collector.accepted += request.spans()
    _respond(connection, 200, {"content-type": "application/x-protobuf"}, b"")
    return True


def partial(rejected: int) -> Behaviour:
    """Take all but the last `rejected` spans, and say so."""

    def behave(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
        assert request is not None
        spans = request.spans()
        collector.accepted += spans[: len(spans) - rejected]
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = "over quota"
        _respond(connection, 200, {"content-type": "application/x-protobuf"}, answer.SerializeToString())
        return True

    return behave


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """Take nothing and answer with `code`."""

    def behave(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
        _respond(connection, code, headers or {}, body)
        return True

    return behave


def larger_than(limit: int) -> Behaviour:
    """Answer 413 to a body over `limit`, accept any other."""

    def behave(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
        assert request is not None
        if len(request.body) > limit:
            _respond(connection, 413, {}, b"")
            return True
        return accept(collector, connection, request)

    return behave


def hang(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Never answer."""
    collector.got_hanging.set()
    collector.stopped.wait()
    return False


def hang_in_body(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Take the spans, answer 200, and never finish the body."""
    assert request is not None
    collector.accepted += request.spans()
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n\x0a")
    collector.got_hanging.set()
    collector.stopped.wait()
    return False


def drip(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Send an endless header, a byte now and then, so that no single read ever times out."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    collector.got_hanging.set()
    while not collector.stopped.wait(0.02):
        connection.sendall(b".")
    return False


def slow_reads(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Take a byte of the request now and then."""
    collector.got_hanging.set()
    while not collector.stopped.wait(0.02):
        connection.recv(1)
    return False


slow_reads.before_body = True  # type: ignore[attr-defined]


def reset_mid_request(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Reset the connection before the body was read."""
    _reset(connection)
    return False


reset_mid_request.before_body = True  # type: ignore[attr-defined]


def reset_mid_response(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Reset the connection in the middle of the status line."""
    connection.sendall(b"HTTP/1.1 20")
    _reset(connection)
    return False


def garbage(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Answer with something that is not HTTP."""
    connection.sendall(b"\x16\x03\x01 what?\r\n\r\n")
    return False


def garbage_body(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Take the spans and answer 200 with a body that is not OTLP."""
    assert request is not None
    collector.accepted += request.spans()
    _respond(connection, 200, {"content-type": "text/html"}, b"<h1>thanks</h1>")
    return True


def close_politely(collector: Collector, connection: socket.socket, request: Request | None) -> bool:
    """Accept, then close the kept-alive connection without a word."""
    accept(collector, connection, request)
    return False


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

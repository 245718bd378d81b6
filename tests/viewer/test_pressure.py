"""More than can be taken is refused in a way that makes senders come again, and is never half kept."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from firsttoken.export import StreamSpanProcessor
from firsttoken.viewer import _intake, _store

from .running import DEADLINE_S, Running, connected, request, stream, until

BODY = request(stream(1)).SerializeToString()
HEAD = "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\n"


@contextmanager
def half_sent(viewer: Running) -> Iterator[socket.socket]:
    """Send the first half of a body."""
    with connected(viewer) as connection:
        connection.sendall(f"{HEAD}content-length: {len(BODY)}\r\n\r\n".encode() + BODY[: len(BODY) // 2])
        yield connection


def test_bodies_that_would_fill_the_memory_together_are_put_off(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_intake, "_IN_FLIGHT_MAX_BYTES", len(BODY))
    with half_sent(viewer) as connection:
        answer = until(lambda: put_off(viewer))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        connection.sendall(BODY[len(BODY) // 2 :])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert viewer.post(BODY).status_code == 200


def put_off(viewer: Running) -> httpx.Response | None:
    answer = viewer.post(BODY)
    return answer if answer.status_code == 503 else None


def test_a_sender_that_stops_in_the_middle_is_not_waited_for(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_intake, "_RECEIVE_TIMEOUT_S", 0.05)
    with half_sent(viewer) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert viewer.get("/api/health")["spans"] == 0


def test_a_sender_that_leaves_in_the_middle_harms_nobody(viewer: Running) -> None:
    with half_sent(viewer):
        pass
    assert viewer.post(BODY).status_code == 200
    assert viewer.get("/api/health")["spans"] == 1


def test_what_a_store_cannot_keep_up_with_comes_again(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "_PENDING_MAX_BYTES", len(BODY))
    store = viewer.viewer.store
    blocker = sqlite3.connect(store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    provider = TracerProvider(shutdown_on_exit=False)
    processor = StreamSpanProcessor(f"{viewer.url}/v1/traces")
    provider.add_span_processor(processor)
    with half_sent(viewer) as connection:
        connection.sendall(BODY[len(BODY) // 2 :])
        until(lambda: store._pending)
        answer = viewer.post(BODY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        provider.get_tracer("t").start_span("again").end()
        processor.force_flush(1)
        blocker.execute("COMMIT")
        blocker.close()
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert processor.force_flush(int(DEADLINE_S * 1000))
    provider.shutdown()
    assert viewer.get("/api/health")["spans"] == 2


def test_headers_without_end_are_refused(viewer: Running) -> None:
    received = b""
    # It may close before it has read all that we had to say.
    with (
        suppress(ConnectionError),
        connected(viewer) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"a" * (1 << 20))
        received = connection.recv(1000)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")
    assert viewer.get("/api/health")["ok"] is True


def test_metrics_that_stop_in_the_middle_are_not_waited_for(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_intake, "_RECEIVE_TIMEOUT_S", 0.05)
    with connected(viewer) as connection:
        connection.sendall(HEAD.replace("traces", "metrics").encode() + b"content-length: 9\r\n\r\n123")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")

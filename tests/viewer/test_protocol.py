"""Connections on which nothing moves are ended, and no others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from firsttoken.viewer import _protocol
from firsttoken.viewer._protocol import Protocol

from .running import DEADLINE_S, Running, connected, key, request, span, stream, until

SIZE = 20 << 20
HALF_A_HEAD = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: "


@pytest.mark.parametrize("said", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_a_crowd_that_never_asks_is_sent_away(
    viewer: Running, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(_protocol, "HEAD_TIMEOUT_S", 0.5)
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(viewer)) for _ in range(20)]
        for each in crowd:
            each.sendall(said)
        assert [each.recv(1000) for each in crowd] == [b""] * 20
    assert viewer.get("/api/health")["ok"] is True


def test_a_head_that_comes_byte_by_byte_gets_no_more_time(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_protocol, "HEAD_TIMEOUT_S", 0.5)
    # It may be sent away in the middle of a byte.
    with connected(viewer) as connection, suppress(ConnectionError):
        connection.sendall(HALF_A_HEAD)
        connection.settimeout(0.05)
        assert until(lambda: one_more(connection)) == [b""]


def one_more(connection: socket.socket) -> list[bytes]:
    """Send a byte; return what was answered."""
    connection.sendall(b"x")
    try:
        return [connection.recv(1000)]
    except TimeoutError:
        return []


def test_a_stream_of_news_may_be_silent_for_longer(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_protocol, "HEAD_TIMEOUT_S", 0.5)
    with viewer.client.stream("GET", "/api/changes") as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        next(lines)
        with connected(viewer) as idle:
            # This one came later and is gone: the other's time would be up, if it had any.
            assert idle.recv(1) == b""
        viewer.post(request(stream(1)).SerializeToString())
        next(lines)


def test_who_does_not_take_his_answer_is_sent_away(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_protocol, "TAKE_TIMEOUT_S", 0.2)
    gone, lost = threading.Event(), Protocol.connection_lost

    def seen(protocol: Protocol, error: Exception | None) -> None:
        lost(protocol, error)
        gone.set()

    monkeypatch.setattr(Protocol, "connection_lost", seen)
    for number in (1, 2, 3):
        noisy = span(1, number, attributes={"noise": "x" * (SIZE // 3)})
        assert viewer.post(request(noisy).SerializeToString()).status_code == 200
    with connected(viewer) as connection:
        path = f"/api/traces/{key(1).hex()}/otlp.json"
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        assert gone.wait(DEADLINE_S)
        # What the system's buffers held is all there is.
        assert sum(map(len, iter(lambda: connection.recv(1 << 20), b""))) < SIZE
    assert viewer.get("/api/health")["ok"] is True


class Slow:
    """A transport and a loop, whose clock is wound by hand: `left` bytes wait to be taken."""

    left = 100
    aborted = False
    later: Callable[[], None] | None = None

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Slow:
        self.later = callback
        return self

    def cancel(self) -> None:
        self.later = None

    def time_passes(self) -> None:
        assert self.later is not None
        self.later()


def test_who_takes_his_answer_slowly_gets_it_whole() -> None:
    slow = Slow()
    protocol = Protocol.__new__(Protocol)
    protocol._head_timer = protocol._take_timer = None
    protocol.transport, protocol.loop = cast(Any, slow), cast(Any, slow)
    protocol.flow = FlowControl(cast(Any, slow))
    protocol.pause_writing()
    for slow.left in (99, 50, 1):
        slow.time_passes()
    assert not slow.aborted
    protocol.resume_writing()
    assert slow.later is None
    protocol.pause_writing()
    slow.time_passes()
    assert slow.aborted

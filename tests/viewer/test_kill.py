"""A viewer that is killed under load starts again with everything it had acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from .running import DEADLINE_S, PROTOBUF, key, request, span, stream, until, viewing

SENDERS = 3
BEFORE_THE_KILL = 60


def started(path: Path) -> tuple[subprocess.Popen[str], str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "firsttoken", "view", "--port", "0", "--db", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert greeting.startswith("firsttoken view: http://127.0.0.1:"), greeting
    return process, greeting.removeprefix("firsttoken view: ").strip().rstrip("/")


def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    process, url = started(path)
    acknowledged: list[int] = []

    def send(sender: int) -> None:
        trace = sender
        with httpx.Client(trust_env=False, timeout=DEADLINE_S) as client:
            while True:
                steps = [span(trace, number, 1) for number in range(2, 30)]
                body = request(stream(trace, 1), *steps).SerializeToString()
                try:
                    answer = client.post(f"{url}/v1/traces", content=body, headers=PROTOBUF)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(trace)
                trace += SENDERS

    senders = [threading.Thread(target=send, args=(number,)) for number in range(1, SENDERS + 1)]
    for sender in senders:
        sender.start()
    try:
        until(lambda: len(acknowledged) >= BEFORE_THE_KILL)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)
        for sender in senders:
            sender.join(DEADLINE_S)
    with viewing(path) as again:
        kept = set()
        for offset in range(0, len(acknowledged) + SENDERS, 1000):
            kept |= {row["trace_id"] for row in again.streams(limit=1000, offset=offset)}
        assert {key(trace).hex() for trace in acknowledged} <= kept
        # What was written was written whole, whether or not the sender heard of it.
        for trace_id in sorted(kept)[-5:]:
            assert len(again.get(f"/api/traces/{trace_id}")["spans"]) == 29
        assert again.post(request(stream(10**6)).SerializeToString()).status_code == 200


def test_one_that_is_asked_to_end_ends_and_takes_its_memory_with_it(tmp_path: Path) -> None:
    for ask in (signal.SIGTERM, signal.SIGINT):
        environ = {**os.environ, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "firsttoken", "view", "--port", "0", "--db", ":memory:"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("firsttoken view: ").strip()
        # A page that is open does not keep it.
        with httpx.stream("GET", f"{url}api/changes", trust_env=False, timeout=DEADLINE_S) as changes:
            lines = changes.iter_lines()
            next(lines)
            assert list(tmp_path.iterdir())
            process.send_signal(ask)
            _, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, errors) == (0, "")
        assert list(tmp_path.iterdir()) == []

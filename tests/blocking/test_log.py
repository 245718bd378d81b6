"""Blocks as log lines: what they say, and how often."""

from __future__ import annotations

import logging

import pytest

from firsttoken.blocking._culprit import LoopBlock
from firsttoken.blocking._log import BlockLog

WRITES = LoopBlock(1, 0, 60_000_000, "/app/a.py", 7, "f", (), "io", 1.0)
HELD = LoopBlock(1, 0, 60_000_000, "/app/a.py", 7, "f", (), "gil_or_cpu_wait", 1.0, "worker 1")
IDLE = LoopBlock(1, 0, 60_000_000, None, None, None, (), "gil_or_cpu_wait", 0.0)


def test_the_log_says_one_line_a_second_and_how_many_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now_ns = 0
    log = BlockLog(clock=lambda: now_ns)
    with caplog.at_level(logging.WARNING, "firsttoken"):
        for elapsed_ns in (0, 400_000_000, 599_999_999, 1, 500_000_000):
            now_ns += elapsed_ns
            log(WRITES)
        log.flush()
        log.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "event loop blocked for 60 ms (io) by /app/a.py:7 f",
        "event loop blocked for 60 ms (io) by /app/a.py:7 f; 2 more since the last line",
        "event loop blocked; 1 more since the last line",
    ]


def test_the_log_names_another_thread_and_admits_not_to_know(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "firsttoken"):
        BlockLog()(HELD)
        BlockLog()(IDLE)
    assert "by /app/a.py:7 f in thread worker 1" in caplog.text
    assert "by no code of yours" in caplog.text

"""How a run of the demo looks, on a terminal and off it, and how it ends when it is stopped."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
from pathlib import Path

import pytest

from .runs import ALONE, CORPUS, TIMEOUT_S, Run, start


def test_without_a_terminal_plain_lines_tell_the_progress_and_the_table() -> None:
    run = Run.of(start("--replay", str(CORPUS / "chat-usage-after-finish.sse")))
    assert (run.code, run.err) == (0, "")
    assert "\x1b" not in run.out
    lines = run.out.splitlines()
    assert lines[0].startswith("firsttoken ")
    assert sum(" s  client " in line for line in lines) == 5
    (header,) = [index for index, line in enumerate(lines) if line.lstrip().startswith("client ")]
    assert lines[header].split()[-5:] == ["tokens", "tok/s", "gap", "gap", "stalls"]
    assert any(line.startswith(" 1 healthy  ") and "·" in line for line in lines)
    assert lines[-1].startswith("Nothing was lost: 5 streams, 5 spans, ")


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
def test_on_a_terminal_the_table_is_live_and_ctrl_c_ends_everything() -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, "-m", "firsttoken", "demo"], {**ALONE, "TERM": "xterm"})
    output = b""
    children: list[int] = []
    while select.select([terminal], [], [], TIMEOUT_S)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        output += read
        if not children and b"reading" in output:
            children = children_of(process)
            os.write(terminal, b"\x03")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"as the clients see it" in output
    assert output.rstrip().endswith(b"firsttoken demo: stopped")
    assert b"Traceback" not in output
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
def test_an_upstream_does_not_outlive_a_demo_that_was_killed() -> None:
    process = start()
    assert process.stdout is not None
    while "client" not in (line := process.stdout.readline()) or " s  client" not in line:
        assert line, "the demo ended before a client was through"
    (child,) = children_of(process.pid)
    watched = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    if watched is not None:
        assert select.select([watched], [], [], TIMEOUT_S)[0], "the upstream still runs"
        os.close(watched)

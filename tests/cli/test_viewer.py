"""The demo's viewer: when it is started, and that it ends with the demo."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import socket
import sys
from pathlib import Path

import httpx
import pytest

from firsttoken.__main__ import main
from firsttoken.cli import _viewer
from firsttoken.cli._collector import Collector, find_collector, is_viewer
from firsttoken.cli._viewer import ViewerError, ViewerProcess
from firsttoken.cli.demo import add_arguments, wants_viewer
from tests.viewer.running import PROTOBUF, request, stream, until, viewing

from .runs import ENVIRON, TIMEOUT_S, Run, start


@pytest.fixture(autouse=True)
def _any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the usual port alone: somebody may be there on the machine that runs the tests."""
    monkeypatch.setattr(_viewer, "_USUAL_PORT", "0")


def test_it_takes_traces_while_it_is_entered_and_ends_with_the_block() -> None:
    with ViewerProcess() as viewer:
        assert viewer.collector == Collector(viewer.url, f"{viewer.url}/v1/traces", f"{viewer.url}/#/trace")
        body = request(stream(1)).SerializeToString()
        httpx.post(f"{viewer.url}/v1/traces", content=body, headers=PROTOBUF, trust_env=False)
        assert httpx.get(f"{viewer.url}/api/health", trust_env=False).json()["spans"] == 1
        process = viewer._child._process
    assert process.returncode == 0


def test_where_the_usual_port_is_taken_it_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(_viewer, "_USUAL_PORT", str(port))
        with ViewerProcess() as viewer:
            assert viewer.url != f"http://127.0.0.1:{port}"
            assert is_viewer(viewer.url)


def test_one_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho out of luck >&2\n")
    python.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(ViewerError, match=r"out of luck; --no-viewer does without$"), ViewerProcess():
        pass


@pytest.mark.parametrize(
    ("said", "environ", "is_terminal", "is_sent", "starts"),
    [
        (None, {}, True, False, True),
        (None, {}, False, False, False),
        (None, {}, True, True, False),
        (None, {"CI": "true"}, True, False, False),
        (None, {"OTEL_TRACES_EXPORTER": "none"}, True, False, False),
        (True, {"CI": "true"}, False, True, True),
        (False, {}, True, False, False),
    ],
)
def test_a_viewer_is_started_where_somebody_looks_and_no_collector_answers(
    said: bool | None, environ: dict[str, str], is_terminal: bool, is_sent: bool, starts: bool
) -> None:
    found, why = wants_viewer(said, environ, is_terminal=is_terminal, is_sent=is_sent)
    assert found is starts
    quiet = said is not None or is_sent or "OTEL_TRACES_EXPORTER" in environ
    assert ("--viewer starts one" in why) is (not starts and not quiet)


def test_the_options_exclude_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [parser.parse_args(given).viewer for given in ([], ["--viewer"], ["--no-viewer"])] == [
        None,
        True,
        False,
    ]
    assert main(["demo", "--json", "--viewer"]) == 2
    assert "only one of them" in capsys.readouterr().err


def test_a_viewer_that_runs_already_is_known_by_its_health(tmp_path: Path) -> None:
    with viewing(tmp_path / "traces.db") as running:
        collector, _ = find_collector({"OTEL_EXPORTER_OTLP_ENDPOINT": running.url})
        assert collector == Collector(running.url, None, f"{running.url}/#/trace")
        run = Run.of(start("--json", OTEL_EXPORTER_OTLP_ENDPOINT=running.url))
        assert (run.code, run.document["lost"]) == (0, [])
        told = {each["told"]["trace_id"]: each for each in run.document["streams"]}
        assert {row["trace_id"] for row in running.streams()} == told.keys()
        for trace_id, each in told.items():
            assert each["trace_url"] == f"{running.url}/#/trace/{trace_id}"
            (shown,) = [
                span["stream"] for span in running.get(f"/api/traces/{trace_id}")["spans"] if span["stream"]
            ]
            for name in ("arrivals_s", "outcome", "gap_max_s", "chunk_count", "time_to_first_token_s"):
                assert shown[name] == each["told"][name], name
            for mine, theirs in zip(shown["stalls"], each["told"]["stalls"], strict=True):
                assert mine == theirs


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
def test_it_does_not_outlive_a_demo_that_was_killed() -> None:
    process = start("--viewer")
    assert process.stdout is not None
    while "A viewer takes the traces" not in (line := process.stdout.readline()):
        assert line, "the demo ended before it had a viewer"
    url = line.split()[-1]
    assert httpx.get(f"{url}api/health", trust_env=False).status_code == 200
    process.kill()
    process.communicate(timeout=TIMEOUT_S)
    until(lambda: not answers(url))


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_it_stays_until_ctrl_c_and_the_link_leads_to_a_stream() -> None:
    process, terminal = pty.fork()
    if process == 0:
        arguments = ["-m", "firsttoken", "demo", "--seconds", "4", "--viewer"]
        environ = {**ENVIRON, "TERM": "xterm", "COLUMNS": "120", "OTEL_TRACES_EXPORTER": "none"}
        os.execve(sys.executable, [sys.executable, *arguments], environ)
    output = b""
    found = None
    while select.select([terminal], [], [], TIMEOUT_S)[0]:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        link = re.search(rb"See them: (http://\S+)/#/trace/(\w{32})/(\w{16}) \(Ctrl-C ends it\)", output)
        if link and found is None:
            url, trace_id, span_id = (part.decode() for part in link.groups())
            streams = httpx.get(f"{url}/api/streams", trust_env=False).json()["streams"]
            found = [row for row in streams if (row["trace_id"], row["span_id"]) == (trace_id, span_id)]
            os.write(terminal, b"\x03")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert found
    assert found[0]["gap_max_s"] == max(row["gap_max_s"] or 0 for row in streams)
    assert len(streams) == 5
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"Traceback" not in output
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_stopped_halfway_the_demo_sends_what_it_has_before_its_viewer_goes() -> None:
    process, terminal = pty.fork()
    if process == 0:
        arguments = ["-m", "firsttoken", "demo", "--viewer"]
        environ = {**ENVIRON, "TERM": "xterm", "OTEL_TRACES_EXPORTER": "none"}
        os.execve(sys.executable, [sys.executable, *arguments], environ)
    output, stopped = b"", False
    while select.select([terminal], [], [], TIMEOUT_S)[0]:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not stopped and b"reading" in output:
            stopped = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert stopped
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"not accepted" not in output
    assert output.rstrip().endswith(b"firsttoken demo: stopped")

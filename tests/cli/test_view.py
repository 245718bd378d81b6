"""`firsttoken view` as a user starts it: its options, its address, and its table for people over ssh."""

from __future__ import annotations

import os
import pty
import re
import select
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from firsttoken.__main__ import main
from firsttoken.cli import view
from firsttoken.cli._tui import frame, running_line
from firsttoken.errors import ConfigError
from firsttoken.viewer._live import LiveDocument, LiveStream
from firsttoken.viewer._server import is_loopback, listen
from tests.viewer.running import PROTOBUF, request, stall, stream, viewing

from .runs import ENVIRON, TIMEOUT_S


def started(*arguments: str, **environ: str) -> tuple[subprocess.Popen[str], str]:
    """Start a viewer; return it and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "firsttoken", "view", "--until-stdin-ends", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRON, **environ},
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_it_says_where_it_is_keeps_traces_and_ends_with_whoever_started_it(tmp_path: Path) -> None:
    for total in (1, 2):
        process, greeting = started("--port", "0", XDG_STATE_HOME=str(tmp_path))
        assert process.stdout is not None
        assert re.fullmatch(r"firsttoken view: http://127\.0\.0\.1:\d+/\n", greeting)
        url = greeting.removeprefix("firsttoken view: ").strip()
        path = tmp_path / "firsttoken" / "traces.db"
        said = process.stdout.readline()
        assert said == f"OTLP goes to {url}v1/traces; kept in {path}.\n"
        body = request(stream(total)).SerializeToString()
        httpx.post(f"{url}v1/traces", content=body, headers=PROTOBUF, trust_env=False).raise_for_status()
        assert httpx.get(f"{url}api/streams", trust_env=False).json()["total"] == total
        out, err = process.communicate(timeout=TIMEOUT_S)  # closes its stdin
        assert (process.returncode, out, err) == (0, "", "")


def test_bound_elsewhere_it_wants_a_token_and_tells_it() -> None:
    process, greeting = started("--port", "0", "--host", "0.0.0.0", "--db", ":memory:")
    assert process.stdout is not None
    found = re.fullmatch(r"firsttoken view: http://0\.0\.0\.0:(\d+)/\?token=([\w-]{32})\n", greeting)
    assert found
    assert process.stdout.readline().endswith("kept in memory only.\n")
    assert f"authorization=Bearer {found[2]}" in process.stdout.readline()
    url = f"http://127.0.0.1:{found[1]}/api/health"
    assert httpx.get(url, trust_env=False).status_code == 401
    bearer = {"authorization": f"Bearer {found[2]}"}
    assert httpx.get(url, headers=bearer, trust_env=False).json()["ok"] is True
    process.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-bytes", "10"], "--max-bytes is a size of at least 1M, such as 200M or 2G, not '10'"),
        (["--max-bytes", "much"], "--max-bytes is a size"),
        (["--port", "70000"], "--port is between 0 and 65535, not 70000"),
        (["--token", "short"], "--token has at least 16 letters"),
        (["--token", "with a space in it, and long"], "--token has at least 16 letters"),
        (["--live", "ftp://127.0.0.1/x"], "--live is an http URL"),
        (["--live", "http://169.254.169.254/latest"], "--live asks this machine only, not 169.254.169.254"),
        (["--live", "http://127.0.0.1.evil.example/"], "--live asks this machine only"),
        (["--jaeger", "javascript:alert(1)"], "--jaeger is an http URL"),
        (["--tui"], "--tui draws on a terminal"),
    ],
)
def test_values_outside_the_allowed_ones_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("firsttoken view: ")
    assert says in error


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["view", "--port", str(port), "--db", str(tmp_path / "traces.db")]) == 1
    assert f"port {port} is taken: choose another with --port" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_not_ours_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "--host", "192.0.2.1", "--port", "0", "--db", ":memory:"]) == 1
    assert "192.0.2.1:0 cannot be listened on" in capsys.readouterr().err


def test_somebody_else_s_file_is_told_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    assert main(["view", "--port", "0", "--db", str(path)]) == 1
    assert "mine.db is no firsttoken store; it is left as it is" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_missing_package_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("firsttoken.cli._extras.find_spec", lambda package: None)
    assert main(["view"]) == 2
    assert capsys.readouterr().err.endswith("missing: pip install 'firsttoken[viewer]'\n")


@pytest.mark.parametrize(
    ("text", "size"), [("1M", 1 << 20), ("200m", 200 << 20), ("2GiB", 2 << 30), ("4194304", 4 << 20)]
)
def test_sizes(text: str, size: int) -> None:
    assert view.size_of(text) == size


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("viewer.example", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_debug_paths_of_other_machines_are_asked_if_that_is_wanted() -> None:
    assert view.live_urls(["http://10.0.0.1/x"], anywhere=True) == ("http://10.0.0.1/x",)
    with pytest.raises(ConfigError):
        view.live_urls(["http://[/x"], anywhere=True)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="they have places of their own")
def test_the_state_directory_follows_the_specification() -> None:
    assert view.state_directory({"XDG_STATE_HOME": "/state"}) == Path("/state/firsttoken")
    assert view.state_directory({"XDG_STATE_HOME": "relative"}) == Path.home() / ".local/state/firsttoken"


# --- the table -----------------------------------------------------------------------------------------


def shown(viewer: Any, width: int = 120, height: int = 30) -> str:
    console = Console(file=StringIO(), width=width, height=height, legacy_windows=False)
    console.print(frame(viewer, "where it is", console))
    return console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_the_newest_streams_are_in_the_table_of_the_demo(tmp_path: Path) -> None:
    with viewing(tmp_path / "traces.db") as running:
        assert "No streams yet." in shown(running.viewer)
        place = {"code.file.path": "/a/chat.py", "code.line.number": 88, "code.function.name": "save_log"}
        blocked = [stall("event_loop", **place), stall("event_loop", 2.0, **place)]
        running.post(request(stream(1, events=blocked)).SerializeToString())
        running.post(request(stream(2, firsttoken__outcome="failed")).SerializeToString())
        lines = shown(running.viewer).splitlines()
    assert "2 streams are kept; Ctrl-C ends it." in lines[1]
    assert "up to 3.58 s" in lines[2]
    rows = [line.split() for line in lines if "small" in line]
    assert [row[2] for row in rows] == ["failed", "completed"]
    assert rows[1][3:] == (
        ["400", "ms", "100", "25.0", "3.58", "s", "3.58", "s", "2", "event_loop", "chat.py:88", "save_log"]
    )


def test_a_terminal_obeys_nothing_that_a_span_says(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J[red]x[/red]\u202e"
    with viewing(tmp_path / "traces.db") as running:
        evil_stall = stall(evil, **{"code.file.path": evil, "code.line.number": 1})
        fields = stream(1, gen_ai__request__model=evil, firsttoken__outcome=evil, events=[evil_stall])
        running.post(request(fields).SerializeToString())
        running.viewer.live.document = LiveDocument(streams=(LiveStream(name=evil, age_s=1.0),))
        text = shown(running.viewer, width=200)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[red]" in text


def test_a_stream_that_runs_is_a_line_of_its_own() -> None:
    running = LiveStream(name="chat big", age_s=1.25, chunks=4, content_chunks=3, last_chunk_age_s=0.05)
    assert running_line(running) == " running: chat big for 1.25 s: 3 chunks, the last 50 ms ago"


def test_a_time_without_a_calendar_is_a_row_all_the_same(tmp_path: Path) -> None:
    with viewing(tmp_path / "traces.db") as running:
        fields = stream(1) | {"start_time_unix_nano": 2**63 - 1, "end_time_unix_nano": 0}
        running.post(request(fields).SerializeToString())
        assert "small" in shown(running.viewer)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_table_follows_what_comes_until_ctrl_c() -> None:
    process, terminal = pty.fork()
    if process == 0:
        arguments = ["-m", "firsttoken", "view", "--tui", "--port", "0", "--db", ":memory:"]
        environ = {**ENVIRON, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
        os.execve(sys.executable, [sys.executable, *arguments], environ)
    output, sent = b"", False
    while select.select([terminal], [], [], TIMEOUT_S)[0]:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not sent and (found := re.search(rb"OTLP: (http://\S+/v1/traces)", output)):
            sent = True
            body = request(stream(1)).SerializeToString()
            httpx.post(found[1].decode(), content=body, headers=PROTOBUF, trust_env=False)
        if b"1 streams are kept" in output and b"completed" in output:
            os.write(terminal, b"\x03")
            output = output.replace(b"1 streams are kept", b"")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"Traceback" not in output

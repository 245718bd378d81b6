"""The command line: what it takes, what it refuses, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

import firsttoken
from firsttoken import __main__
from firsttoken.__main__ import main
from firsttoken.cli import demo
from firsttoken.cli._plan import Plan
from firsttoken.errors import ConfigError, FirstTokenError


def plan(*arguments: str) -> Plan:
    parser = ArgumentParser()
    demo.add_arguments(parser)
    return demo.plan_of(parser.parse_args(arguments))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"firsttoken {firsttoken.__version__}\n"


def test_without_a_command_the_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_the_defaults_of_the_demo() -> None:
    assert plan() == Plan("script", streams=5, seconds=8.0, seed=1, model="scripted-1")


def test_a_recorded_body_is_read_from_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.sse").write_bytes(b"data: hello\n\n")
    monkeypatch.chdir(tmp_path)
    made = plan("--replay", "mine.sse", "--streams", "7", "--seed", "3")
    assert made == Plan("replay", streams=7, seconds=8.0, seed=3, file=str(tmp_path / "mine.sse"))
    assert made.content_type == "text/event-stream"


@pytest.mark.parametrize(
    ("url", "posted_to"),
    [
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1/chat/completions"),
        ("https://host/v1/chat/completions", "https://host/v1/chat/completions"),
    ],
)
def test_an_upstream_is_a_base_url_or_the_whole(url: str, posted_to: str) -> None:
    assert plan("--upstream", url, "--model", "m", "--key-env", "MY_KEY") == Plan(
        "relay", streams=5, seconds=60.0, seed=1, model="m", url=posted_to, key_env="MY_KEY"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seconds", "3"], "--seconds is between 4 and 3600, not 3"),
        (["--streams", "0"], "--streams is between 1 and 500, not 0"),
        (["--streams", "501"], "--streams is between 1 and 500, not 501"),
        (["--replay", "/no/such.sse"], "there is no file /no/such.sse"),
        (["--upstream", "http://127.0.0.1:1/v1"], "--upstream needs --model"),
        (["--model", "m"], "--model needs --upstream"),
        (["--key-env", "MY_KEY", "--replay", "mine.sse"], "--key-env needs --upstream"),
        (["--upstream", "ftp://x", "--model", "m"], "--upstream is an http or https URL"),
        (["--upstream", "ftp://me:secret@x", "--model", "m"], "not 'ftp://x'"),
    ],
)
def test_values_outside_the_allowed_ones_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("firsttoken demo: ")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("name", "body"), [("mine.txt", b"hello"), ("empty.sse", b"")])
def test_a_body_that_is_none_is_refused(name: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ConfigError, match=name):
        plan("--replay", str(tmp_path / name))


@pytest.mark.parametrize(
    ("environ", "refused"),
    [
        ({}, None),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, None),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "OTEL_TRACES_SAMPLER is always_off"),
        ({"OTEL_SDK_DISABLED": "TRUE"}, "OTEL_SDK_DISABLED is true"),
    ],
)
def test_an_environment_that_traces_nothing_is_refused(
    environ: dict[str, str], refused: str | None
) -> None:
    reason = demo.reason_to_refuse(environ)
    assert reason is None if refused is None else str(reason).startswith(refused)


def test_a_missing_package_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("firsttoken.cli._extras.find_spec", lambda package: None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "firsttoken demo: fastapi, uvicorn, rich missing: pip install 'firsttoken[cli]'\n"
    )


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("no"), 2), (FirstTokenError("no"), 1), (KeyboardInterrupt(), 130)]
)
def test_each_way_to_fail_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: Any) -> int:
        raise error

    monkeypatch.setattr(__main__.doctor, "main", fail)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err in ("firsttoken doctor: no\n", "firsttoken doctor: stopped\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_cannot_be_written_is_told_in_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "firsttoken", "doctor"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"firsttoken doctor: ")
    assert done.stderr.count(b"\n") == 1


def test_replay_sends_a_spool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "nothing here")]) == 2
    assert "must be a spool directory" in capsys.readouterr().err
    assert main(["replay", str(tmp_path), "--endpoint", "http://127.0.0.1:9/v1/traces"]) == 0
    assert "0 spans accepted" in capsys.readouterr().err

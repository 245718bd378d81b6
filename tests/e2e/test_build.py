"""When the tests here run, skip and fail; and a build that breaks off leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runs import ENVIRON
from tests.e2e import build
from tests.e2e.servers import PATIENCE_S, ROOT

NEEDS_BINARIES = "tests/e2e/test_config.py::test_a_wrong_configuration_is_not"


def outcome(cache: Path, **environ: str) -> str:
    """Run a test that needs the binaries where there are none; return what pytest says."""
    told = {name: value for name, value in ENVIRON.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEEDS_BINARIES],
        cwd=ROOT,
        env={**told, "FIRSTTOKEN_E2E_CACHE": str(cache), **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Return a directory for the PATH, with a `go` that fails at everything."""
    go = tmp_path / "tools" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho nothing works here >&2\nexit 1\n")
    go.chmod(0o755)
    return go.parent


def test_without_binaries_and_without_go_the_tests_skip_and_say_so(tmp_path: Path) -> None:
    for environ in ({}, {"CI": "true"}):
        said = outcome(tmp_path, PATH=str(tmp_path), **environ)
        assert "1 skipped" in said
        assert "no jaeger and otelcol here, and no `go` to build with" in said


def test_without_binaries_but_with_go_they_skip_and_name_the_command(tmp_path: Path, tools: Path) -> None:
    said = outcome(tmp_path, PATH=str(tools))
    assert "1 skipped" in said
    assert build.COMMAND in said


def test_in_ci_that_has_go_they_fail(tmp_path: Path, tools: Path) -> None:
    said = outcome(tmp_path, PATH=str(tools), CI="true")
    assert "1 error" in said
    assert build.COMMAND in said


def test_a_build_that_fails_says_which_command_and_leaves_nothing(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTTOKEN_E2E_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        build.build()
    assert failure.value.cmd[:3] == ["go", "mod", "download"]
    assert build.missing() == ["jaeger", "otelcol"]
    assert list(build.binaries().iterdir()) == []


def test_what_is_there_is_not_built_again(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTTOKEN_E2E_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tools))
    build.binaries().mkdir(parents=True)
    for name in build.NAMES:
        (build.binaries() / name).touch()
    build.build()
    assert build.missing() == []


def test_other_versions_are_built_in_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTTOKEN_E2E_CACHE", str(tmp_path))
    before = build.binaries()
    changed = tmp_path / "manifest.yaml"
    shutil.copy(build.MANIFEST, changed)
    monkeypatch.setattr(build, "MANIFEST", changed)
    assert build.binaries() == before
    changed.write_text(changed.read_text(encoding="utf-8").replace("v0.158.0", "v0.159.0"))
    assert build.binaries() != before
    assert build.binaries().parent == before.parent

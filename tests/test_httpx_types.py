"""To a type checker, a client takes a traced transport where it takes the one that is wrapped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import {library}
from firsttoken.httpx import AsyncTracingTransport, TracingTransport

client = {library}.Client(transport=TracingTransport({library}.HTTPTransport(), hosts=["model.test"]))
async_client = {library}.AsyncClient(transport=AsyncTracingTransport({library}.AsyncHTTPTransport()))
"""

MISTAKES = """
{library}.Client(transport=TracingTransport("no transport"))
{library}.AsyncClient(transport=AsyncTracingTransport({library}.HTTPTransport()))
AsyncTracingTransport({library}.AsyncHTTPTransport(), host=["model.test"])
"""


def check(program: str, folder: Path) -> list[str]:
    """Return what mypy has to say of a program."""
    file = folder / "program.py"
    file.write_text(program, "utf-8")
    options = ["--strict", "--no-error-summary", "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert ran.returncode in (0, 1), ran.stderr
    return [line for line in ran.stdout.splitlines() if ": error: " in line]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_clients_take_traced_transports_and_mistakes_are_still_seen(library: str, tmp_path: Path) -> None:
    program = PROGRAM.format(library=library)
    assert check(program, tmp_path) == []
    found = check(program + MISTAKES.format(library=library), tmp_path)
    assert [line.split(":")[1] for line in found] == ["8", "9", "10"], found

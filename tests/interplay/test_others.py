"""Somebody else's instrumentation on the same client: exactly one of us tells the call."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from tests.interplay.others import EDGES, OTHERS

#: The edges that somebody asked for by name: they tell their times, whoever owns the call.
ASKED_FOR = tuple(edge for edge in EDGES if edge.startswith("trace_stream") or edge == "both")


def run(name: str) -> dict[str, Any]:
    package = OTHERS[name][0]
    try:
        version(package)
    except PackageNotFoundError:
        pytest.skip(f"needs {package}")
    command = [sys.executable, "-m", "tests.interplay.others", name]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    if "ModuleNotFoundError" in ran.stderr:
        pytest.skip(f"{package} cannot be imported here: {ran.stderr.splitlines()[-1]}")
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("name", OTHERS)
def test_exactly_one_tells_the_call_whatever_edge_of_ours_is_there_too(name: str) -> None:
    told = run(name)
    assert list(told) == list(EDGES)
    for edge, found in told.items():
        assert found["chunks"] > 2
        assert len(found["calls"]) == 1, (edge, found)
        is_owner = found["calls"] == ["firsttoken"]
        if edge in ASKED_FOR:
            assert found["ours"] == ["completed"], (edge, found)
        else:
            assert found["ours"] == (["completed"] if is_owner else []), (edge, found)
        # The tokens of a call are counted by whoever tells it.
        assert found["usage"] == int(is_owner), (edge, found)
        if name.startswith("nobody"):
            assert is_owner

"""Everything in README is true: its code runs, its commands are the ones that are tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {number}" for number in range(1, len(BLOCKS) + 1)])
def test_code_block_runs(block: str, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block, encoding="utf-8")
    environment = {"OTEL_TRACES_EXPORTER": "none", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_first_block_tells_a_completed_stream(tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(BLOCKS[0], encoding="utf-8")
    environment = {"OTEL_TRACES_EXPORTER": "none", "PATH": ""}
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=True,
    )
    outcome, first_token_ns, trace_id = done.stdout.split("\n")[-2].split()
    assert outcome == "completed"
    assert int(first_token_ns) >= 10_000_000
    assert len(trace_id) == 32


def test_ci_runs_the_commands_that_readme_names() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    setup = 'python3 -m venv .venv && .venv/bin/pip install -e ".[dev]" && .venv/bin/pytest'
    assert setup in README
    assert 'python3 -m venv .venv && .venv/bin/pip install --quiet -e ".[dev]"' in ci
    assert ci.rstrip().endswith(".venv/bin/pytest")


def test_every_setting_of_configure_is_in_the_table() -> None:
    import inspect

    import firsttoken

    for name in inspect.signature(firsttoken.configure).parameters:
        assert f"`{name}`" in README, f"README does not tell about configure({name}=)"


@pytest.mark.parametrize("link", re.findall(r"`(examples/[^`]*|tests/bench/[^`]*)`", README))
def test_every_file_that_is_named_exists(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_table_of_formats_is_made_from_the_code_and_every_row_is_green() -> None:
    from tests.decoders.formats_table import BEGIN, END, table, unread

    made = table()
    assert README.split(BEGIN)[1].split(END)[0] == made
    assert "✗" not in made
    assert unread() == []

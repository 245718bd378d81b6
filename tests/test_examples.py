"""Each example runs by itself, without a key or a network, and shows the trace it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

SHOWS = {
    "wrap_generator.py": ("completed: first token after", "chat demo-model", "firsttoken.chunk.count = 11"),
    "pipeline_stages.py": (
        "answer a question",
        "  chat demo-model",
        "  sentences",
        "  enriched",
        "    look up",
    ),
    "asgi_middleware.py": ("event: error", "http.stream /endless", "firsttoken.outcome = cancelled"),
    "anthropic_sdk.py": ("rivers you can count", "chat claude-demo", "('end_turn',)"),
    "httpx_transport.py": ("data: [DONE]", "chat gpt-demo", "gen_ai.usage.output_tokens = 8"),
    "instrument_all.py": ("rivers you can count", "chat gpt-demo", "gen_ai.usage.output_tokens = 8"),
    "one_trace.py": ("  GET /chat", "    http.stream /chat", "    phrases", "      chat gpt-demo"),
    "openai_sdk.py": ("rivers you can count", "chat gpt-demo", "firsttoken.outcome = completed"),
    "fastapi_chat.py": ("data: [DONE]", "chat demo-model", "gen_ai.usage.output_tokens = 8"),
}


def printed(name: str, *arguments: str) -> str:
    """Run an example; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_example_runs_and_shows_its_trace(name: str) -> None:
    told = printed(name)
    for line in SHOWS[name]:
        assert line in told


def test_the_blocked_loop_is_told_by_its_line_and_gone_once_it_is_mended() -> None:
    before, after = printed("blocked_loop.py", "--quick").split("2. await anyio.to_thread.run_sync(")
    blamed = "connection.recv(2)"
    source = (EXAMPLES / "blocked_loop.py").read_text(encoding="utf-8").splitlines()
    (number,) = [number for number, line in enumerate(source, 1) if line.strip() == blamed]
    told, mended = table(before), table(after)

    assert told["slow line"] == f"blocked_loop.py:{number} save_line"
    assert blamed in before
    assert told["cause"] == "event_loop"
    # On a machine that others keep busy the loop may wait for its processor longer than for the database.
    assert told["what it did"] in ("waiting, not computing", "gil_or_cpu_wait")
    assert int(told["what it cost them"].partition("%")[0]) > 50
    assert told["first word, the slowest"] == "over 3 s"
    held_up, gave_up = "held up by the service itself", "gave up after 3 s without a word"
    assert counts(told[held_up])[0] >= 25
    assert counts(told[gave_up])[0] >= 5

    assert mended["slow line"] == "none"
    # On a machine that others keep busy a stream of the mended service may be held up, for once.
    assert counts(mended[held_up])[0] <= 3
    assert counts(mended[gave_up])[0] == 0


def table(text: str) -> dict[str, str]:
    """Return the indented rows of a table that an example printed."""
    rows = [line.strip().split("  ", 1) for line in text.splitlines() if line.startswith("  ")]
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def counts(cell: str) -> tuple[int, int]:
    """Read "3 of 30"."""
    part, _, whole = cell.split()[0:3]
    return int(part), int(whole)

"""The upstream's process: started, asked, and ended with its parent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from firsttoken.cli._child import UpstreamError, UpstreamProcess

from .scenes import PLAN


def test_it_answers_while_it_is_entered_and_reports_what_it_sent(tmp_path: Path) -> None:
    body = b"data: hello\n\n" * 3
    (tmp_path / "body.sse").write_bytes(body)
    plan = replace(PLAN, kind="replay", file=str(tmp_path / "body.sse"))
    with UpstreamProcess(plan) as upstream:
        assert upstream.url.startswith("http://127.0.0.1:")
        got = httpx.post(upstream.url, headers={"x-demo-stream": "1"}, json={}, trust_env=False)
        process = upstream._child._process
    assert got.content == body
    assert process.returncode == 0
    assert upstream.reports[1]["ended"] == "complete"
    assert upstream.reports[1]["bytes"] == len(body)


@pytest.mark.parametrize(
    ("last_words", "told"), [("echo out of luck >&2", "out of luck"), ("true", "it said nothing")]
)
def test_one_that_does_not_start_is_told_with_its_last_words(
    last_words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{last_words}\n")
    python.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(python))
    with UpstreamProcess(PLAN) as upstream, pytest.raises(UpstreamError, match=f"did not start: {told}$"):
        _ = upstream.url

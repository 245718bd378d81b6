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
    "one_trace.py": ("  GET /chat", "    http.stream /chat", "    phrases", "      chat gpt-demo"),
    "openai_sdk.py": ("rivers you can count", "chat gpt-demo", "firsttoken.outcome = completed"),
    "fastapi_chat.py": ("data: [DONE]", "chat demo-model", "gen_ai.usage.output_tokens = 8"),
}


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_example_runs_and_shows_its_trace(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for line in SHOWS[name]:
        assert line in done.stdout

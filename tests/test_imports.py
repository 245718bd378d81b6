"""What `import firsttoken` loads: no web framework, no HTTP client, no SDK, and little of its own time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import firsttoken

#: Worlds that belong to others: loaded only where somebody uses them.
FOREIGN = [
    "anthropic",
    "anyio",
    "django",
    "fastapi",
    "flask",
    "google",
    "grpc",
    "h11",
    "httpcore",
    "httpx",
    "httpx2",
    "hypothesis",
    "openai",
    "pydantic",
    "pytest",
    "requests",
    "rich",
    "sniffio",
    "starlette",
    "trio",
    "urllib3",
    "uvicorn",
    "uvloop",
    "websockets",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "opentelemetry.proto",
    "opentelemetry.util.genai",
    "firsttoken.asgi",
    "firsttoken.cli",
    "firsttoken.export",
    "firsttoken.httpx",
    "firsttoken.pipeline",
    "firsttoken.testing",
    "firsttoken.viewer",
]

#: What it does load from outside the standard library, and why.
LOADED = {
    "firsttoken",
    "msgspec",  # deltas and JSON
    "opentelemetry",  # the API alone
    "typing_extensions",  # of the OpenTelemetry API
    "wrapt",  # transparent proxies
}


def run(program: str) -> Any:
    """Run a program in a new interpreter and return the JSON it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True, timeout=60
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return set(
        run(
            "import sys, json; before = set(sys.modules); import firsttoken; "
            "print(json.dumps(sorted(set(sys.modules) - before)))"
        )
    )


@pytest.mark.parametrize("name", FOREIGN)
def test_others_worlds_are_not_loaded(name: str, loaded: set[str]) -> None:
    assert [module for module in loaded if module == name or module.startswith(f"{name}.")] == []


def test_from_outside_only_what_is_named_here_is_loaded(loaded: set[str]) -> None:
    ours = {module.split(".")[0] for module in loaded}
    found = {
        name
        for name in ours
        if name not in sys.stdlib_module_names and not name.startswith("_sysconfigdata")
    }
    assert found - {"__editable___firsttoken_finder"} <= LOADED


def test_the_loop_of_another_world_is_not_loaded_by_tracing() -> None:
    """A sync stream in a program without asyncio or trio must not bring them in."""
    found = run(
        "import sys, json, firsttoken; list(firsttoken.trace_stream(iter('ab'))); "
        "print(json.dumps([name for name in ('trio', 'uvloop', 'anyio', 'httpx') if name in sys.modules]))"
    )
    assert found == []


def test_import_takes_no_longer_than_what_it_is_built_on() -> None:
    """As a ratio in one run: our own modules against the OpenTelemetry API, msgspec and wrapt."""
    program = """
import json, time
began = time.process_time()
import opentelemetry.trace, opentelemetry.metrics, msgspec, wrapt, asyncio
built_on = time.process_time()
import firsttoken
print(json.dumps((time.process_time() - built_on) / (built_on - began)))
"""
    assert min(run(program) for _ in range(3)) < 3


def test_the_public_names_are_all_there_is() -> None:
    promised = """
        trace_stream traced configure flush shutdown StreamSummary Stall Outcome FirstTokenError __version__
    """
    assert set(promised.split()) <= set(firsttoken.__all__)


def test_a_type_checker_finds_our_types() -> None:
    from importlib.resources import files

    assert (files("firsttoken") / "py.typed").is_file()

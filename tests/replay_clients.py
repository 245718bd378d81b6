"""Clients of both libraries that talk to a replay server, traced or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest

from firsttoken._settings import Settings
from firsttoken._wrap import default
from firsttoken._wrap import runtime as _runtime
from firsttoken.httpx import AsyncTracingTransport, TracingTransport
from tests.conftest import Traces
from tests.replay_server import ReplayServer, Reply, recorded, sse_pieces

LIBRARIES: Any = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
CHAT = "chat-usage-after-finish.sse"
HOSTS = ("127.0.0.1",)
BODY = {"model": "gpt-x", "stream": True, "messages": [{"role": "user", "content": "my secret"}]}


def chat_reply() -> Reply:
    """Return an answer in the form of OpenAI's chat completions."""
    return Reply(sse_pieces(recorded(CHAT)))


def open_async(library: Any, traces: Traces | None, **options: Any) -> Any:
    """Return an async client; with `traces`, one whose calls to loopback are traced."""
    transport = library.AsyncHTTPTransport()
    if traces is not None:
        options.setdefault("hosts", HOSTS)
        transport = AsyncTracingTransport(transport, tracer_provider=traces.provider, **options)
    return library.AsyncClient(transport=transport)


def open_sync(library: Any, traces: Traces | None, **options: Any) -> Any:
    """Return a client; with `traces`, one whose calls to loopback are traced."""
    transport = library.HTTPTransport()
    if traces is not None:
        options.setdefault("hosts", HOSTS)
        transport = TracingTransport(transport, tracer_provider=traces.provider, **options)
    return library.Client(transport=transport)


def url(server: ReplayServer, path: str = "/v1/chat/completions") -> str:
    """Return where the server answers for a model."""
    return server.url + path


@contextmanager
def configured(**settings: Any) -> Iterator[None]:
    """Have a default runtime with settings of its own as long as the block lasts."""
    before = default._default
    runtime = default._default = _runtime.Runtime(Settings(**settings))
    try:
        yield
    finally:
        default._default = before
        assert runtime.shutdown(10)

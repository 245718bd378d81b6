"""Imports that wait until they are needed. Floor 3 (tell); the export thread imports, any thread forks.

A fork in the middle of an import leaves the child with a module lock that nobody will ever release: the
same import waits there for ever. So a fork waits for ours, once, for as long as loading takes.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import Final

#: The HTTP client, and what it imports by itself at its first connection.
HTTP: Final = ("httpx", "httpcore", "h11", "anyio", "anyio._backends._asyncio", "encodings.idna")
PROTOBUF: Final = (
    "google.protobuf.json_format",
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
)
_FORK_WAIT_S: Final = 5.0

_loading = threading.Lock()
_loaded: set[tuple[str, ...]] = set()


def load(modules: tuple[str, ...]) -> None:
    """Import modules, unless that has been done."""
    if modules in _loaded:
        return
    with _loading:
        for name in modules:
            import_module(name)
        _loaded.add(modules)


def _before_fork() -> None:
    _loading.acquire(timeout=_FORK_WAIT_S)


def _in_parent() -> None:
    if _loading.locked():
        _loading.release()


def _in_child() -> None:
    global _loading
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)

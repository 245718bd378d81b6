"""The runtime that `trace_stream` uses. Floor 4 (wrap); any thread."""

from __future__ import annotations

import os
import threading

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from firsttoken._settings import Settings
from firsttoken._wrap.runtime import Runtime

_default: Runtime | None = None
_lock = threading.Lock()


def default_runtime() -> Runtime:
    """Return the runtime that `trace_stream` uses; made on demand with default settings."""
    global _default
    if _default is None:
        with _lock:
            _default = _default or Runtime()
    return _default


def configure_default_runtime(
    settings: Settings, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
) -> None:
    """Change the default runtime's choices; after a shutdown, begin a new one."""
    global _default
    runtime = default_runtime()
    if runtime.is_shut_down:
        with _lock:
            _default = Runtime(settings, tracer_provider=tracer_provider, meter_provider=meter_provider)
    else:
        runtime.configure(settings, tracer_provider, meter_provider)


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # Somebody may hold it at the moment of a fork, and in the child nobody would let go.
    os.register_at_fork(after_in_child=_renew_lock)

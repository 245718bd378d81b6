"""The tracer providers that streams are told to. Floor 4 (wrap); any thread."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from opentelemetry.trace import Tracer, TracerProvider

from firsttoken import semconv
from firsttoken._guard import guarded
from firsttoken._record.worker import remaining_s
from firsttoken._version import __version__
from firsttoken._wrap import process


class Providers:
    """Our tracer of each provider, for as long as anybody else refers to that."""

    def __init__(self) -> None:
        self._tracers: weakref.WeakKeyDictionary[TracerProvider, Tracer] = weakref.WeakKeyDictionary()

    def tracer(self, provider: TracerProvider) -> Tracer:
        """Return our tracer of `provider`, which is flushed with the others from now on."""
        tracer = self._tracers.get(provider)
        if tracer is None:
            tracer = provider.get_tracer(semconv.INSTRUMENTATION_NAME, __version__)
            self._tracers[provider] = tracer
            process.leave_before_providers()
        return tracer

    def flush(self, deadline_ns: int) -> bool:
        """Flush those in use, on a thread of its own: a stock one ignores its timeout.

        deadline_ns: on the monotonic clock. Returns whether all of them were flushed by then.
        """
        # One list operation: another thread may bring a new provider at any moment.
        known = [reference() for reference in self._tracers.keyrefs()]
        providers: list[Any] = [provider for provider in known if hasattr(provider, "force_flush")]
        results: list[bool] = []

        def flush_each() -> None:
            for provider in providers:
                with guarded("flush a tracer provider"):
                    results.append(bool(provider.force_flush(int(remaining_s(deadline_ns) * 1000))))

        if not providers:
            return True
        flushing = threading.Thread(target=flush_each, name="firsttoken-flush", daemon=True)
        try:
            flushing.start()
        except RuntimeError:
            # At the interpreter's exit; a provider flushes itself there as well.
            flush_each()
        else:
            flushing.join(remaining_s(deadline_ns))
        return results.count(True) == len(providers)

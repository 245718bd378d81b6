"""Tracing transports for httpx and httpx2, of which neither is imported. Floor 5 (plug); the user's thread.

    client = httpx2.AsyncClient(transport=AsyncTracingTransport(httpx2.AsyncHTTPTransport()))
    openai = AsyncOpenAI(http_client=client)

Every call to a model gets one span, from the request to the last byte of the answer; each attempt of an SDK
that tries again is a call of its own. Where a layer above tells the call already (`trace_stream`, or an
instrumentation of the SDK), the transport steps aside. All other traffic passes through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    from opentelemetry.trace import TracerProvider

    from firsttoken._http.hosts import Hosts

    T = TypeVar("T")

    # To type checkers a transport of ours is of the class that it wraps: clients ask for one of their own.
    def AsyncTracingTransport(
        wrapped: T,
        *,
        hosts: Hosts = (),
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> T:
        """Trace the calls to models of an async transport; all else is as in the one it wraps."""

    def TracingTransport(
        wrapped: T,
        *,
        hosts: Hosts = (),
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> T:
        """Trace the calls to models of a transport; all else is as in the one it wraps."""
else:
    from firsttoken._wrap.transports import AsyncTracingTransport, TracingTransport

__all__ = ["AsyncTracingTransport", "TracingTransport"]

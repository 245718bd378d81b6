"""Response headers: lasting ones, and ones that name the trace to a browser. Floor 5 (plug; ASGI); loop.

Source: https://www.w3.org/TR/trace-context-2/#traceresponse-header, https://www.w3.org/TR/server-timing/
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from opentelemetry.trace import Span, format_span_id, format_trace_id

from firsttoken._asgi_types import Message

TRACERESPONSE: Final = "traceresponse"
SERVER_TIMING: Final = "server-timing"
TRACE_HEADERS: Final = (TRACERESPONSE, SERVER_TIMING)


def trace_headers(span: Span | None, asked: Collection[str]) -> list[tuple[bytes, bytes]]:
    """Return the headers that name the trace of `span`; none if there is no trace.

    asked: of `TRACE_HEADERS`.
    """
    context = None if span is None else span.get_span_context()
    if context is None or not context.is_valid:
        return []
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    named = f"00-{trace_id}-{span_id}-{int(context.trace_flags):02x}"
    headers = []
    if TRACERESPONSE in asked:
        headers.append((b"traceresponse", named.encode()))
        # Scripts of another origin see no header that is not exposed.
        headers.append((b"access-control-expose-headers", b"traceresponse"))
    if SERVER_TIMING in asked:
        headers.append((b"server-timing", f'traceparent;desc="{named}"'.encode()))
    return headers


def with_lasting_headers(message: Message) -> Message:
    """Return the start of a response with headers that can be read more than once."""
    headers = message.get("headers")
    if headers is None or isinstance(headers, list | tuple):
        return message
    # ASGI allows any iterable: what we read of a generator, the server would never see.
    return {**message, "headers": list(headers)}

"""What the middleware refuses when it is made, and what its error event says."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.asgi import StreamTraceMiddleware, sse_error_event
from firsttoken.errors import ConfigError
from tests.asgi.apps import ScriptedApp


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"trace_headers": ["traceparent"]}, ConfigError, "traceresponse, server-timing"),
        ({"debug_path": "live"}, ConfigError, "slash"),
        ({"all_bodies": "x"}, ConfigError, "True or False"),
        ({"all_bodies": None}, ConfigError, "True or False"),
        ({"content_types": "text/x-own"}, TypeError, "content_types"),
        ({"content_types": [b"text/x-own"]}, TypeError, "bytes"),
        ({"trace_headers": "traceresponse"}, TypeError, "trace_headers"),
        ({"error_event": "sorry"}, TypeError, "error_event"),
        ({"tracer_provider": object()}, TypeError, "tracer_provider"),
        ({"app": None}, TypeError, "app"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(
    arguments: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        StreamTraceMiddleware(**{"app": ScriptedApp(), **arguments})


def test_the_error_event_tells_the_type_alone() -> None:
    assert sse_error_event(ValueError("private")) == (
        b'event: error\ndata: {"error": {"type": "ValueError", "message": "The stream failed."}}\n\n'
    )

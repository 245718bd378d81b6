"""The SERVER span of a request: found, or opened where nobody made one. Floor 5 (plug; ASGI).

Runs on the loop, once per request. Frameworks are told apart by what they leave behind, never imported.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
)

from firsttoken import semconv
from firsttoken._clock import to_s
from firsttoken._record.record import Ending
from firsttoken.summary import outcome_of

_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SECRET_PARAMETER: Final = re.compile(
    r"(?i)(^|&)(AWSAccessKeyId|Signature|sig|X-Amz-Signature|X-Goog-Signature)=[^&]*"
)

#: What FastAPI and Starlette look for before they make a SERVER span of their own.
_FASTAPI_KEY: Final = "fastapi.telemetry"
_STARLETTE_KEY: Final = "starlette.opentelemetry"
_STARLETTE_MIDDLEWARE: Final = "OpenTelemetryMiddleware"


def current_server_span() -> Span | None:
    """Return the span in which this request is served, if somebody outside of us made one.

    An unsampled span does not tell its kind and counts as one. A root span of another kind was current
    when the server was started, and is no request's.
    """
    span = trace.get_current_span()
    context = span.get_span_context()
    if not context.is_valid or context.is_remote:
        return None
    if getattr(span, "kind", SpanKind.SERVER) is SpanKind.SERVER:
        return span
    return None if getattr(span, "parent", None) is None else span


def global_tracer_provider() -> TracerProvider | None:
    """Return the global tracer provider if anyone has set one that makes spans.

    OpenTelemetry itself searches the environment each time it is asked while there is none, which costs
    more than all else that we do for a request.
    """
    if getattr(trace, "_TRACER_PROVIDER", trace) is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, NoOpTracerProvider | ProxyTracerProvider) else provider


def is_made_inside(app: Any) -> bool:
    """Return whether `app`, which we wrap, makes a SERVER span for each request itself.

    FastAPI 0.142 and later does so where a provider is set, Starlette 1.10 where its middleware is added.
    """
    while app is not None:
        native = getattr(app, "_native_telemetry", None)
        if native is not None and native.enabled():
            return True
        added = [type(app), *(entry.cls for entry in getattr(app, "user_middleware", ()))]
        if any(
            cls.__name__ == _STARLETTE_MIDDLEWARE and cls.__module__.startswith("starlette.")
            for cls in added
        ):
            return True
        app = getattr(app, "app", None)
    return False


def open_server_span(tracer: Tracer, scope: Any, *, with_query: bool) -> tuple[Span, Context]:
    """Start the SERVER span of a request; return it, and the context to serve the request in.

    with_query: tell the query string. Browsers open event streams by GET only, so prompts travel in it.
    """
    headers = _headers_of(scope)
    method = scope.get("method", "")
    known = method if method in _METHODS else "_OTHER"
    attributes: dict[str, Any] = {
        semconv.HTTP_REQUEST_METHOD: known,
        semconv.HTTP_REQUEST_METHOD_ORIGINAL: None if known == method else method,
        semconv.URL_PATH: scope.get("path", ""),
        semconv.URL_SCHEME: scope.get("scheme", "http"),
        semconv.NETWORK_PROTOCOL_VERSION: scope.get("http_version"),
        semconv.USER_AGENT: headers.get("user-agent"),
        **_addresses_of(scope, headers),
    }
    if with_query and scope.get("query_string"):
        query = scope["query_string"].decode("latin-1")
        attributes[semconv.URL_QUERY] = _SECRET_PARAMETER.sub(r"\1\2=REDACTED", query)
    # Never a child of what was current when the server was started.
    nothing = trace.set_span_in_context(trace.INVALID_SPAN)
    parent = propagate.extract(headers, nothing)
    span = tracer.start_span(
        "HTTP" if known == "_OTHER" else known,
        context=parent,
        kind=SpanKind.SERVER,
        attributes={key: value for key, value in attributes.items() if value is not None},
    )
    if span.get_span_context().is_valid:
        # There is one now, and there shall be no second from further inside.
        scope.setdefault(_FASTAPI_KEY, None)
        scope.setdefault(_STARLETTE_KEY, True)
    return span, trace.set_span_in_context(span, parent)


def end_server_span(span: Span, scope: Any, status: int | None, error: BaseException | None) -> None:
    """Put on a span of `open_server_span` what only the response could tell, and end it.

    status: of the response; None if none was started.
    error: what the application raised, if anything.
    """
    error_type = None if error is None else type(error).__qualname__
    route = route_of(scope)
    if route is not None:
        method = scope.get("method", "")
        span.update_name(f"{method if method in _METHODS else 'HTTP'} {route}")
        span.set_attribute(semconv.HTTP_ROUTE, route)
    if status is not None:
        span.set_attribute(semconv.HTTP_STATUS_CODE, status)
        if status >= 500:
            error_type = error_type or str(status)
    if error_type is not None:
        span.set_attribute(semconv.ERROR_TYPE, error_type)
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def enrich(
    span: Span | None,
    *,
    ending: Ending,
    said_error: bool,
    said_end: bool,
    error_type: str | None,
    chunk_count: int,
    size: int,
    first_byte_ns: int | None,
) -> None:
    """Put on the SERVER span how its response streamed, while it still records.

    ending, said_error, said_end: as for `firsttoken.summary.outcome_of`. Whether an ending that nobody
        announced cut the stream off takes the whole stream to say; the stream's own span says it.
    size: bytes handed over.
    first_byte_ns: from the request to the first of them; None if there was none.
    """
    if span is None or not span.is_recording():
        return
    outcome = outcome_of(ending, said_end=said_end, says_end=False, said_error=said_error)
    attributes: dict[str, Any] = {
        semconv.OUTCOME: outcome.value,
        semconv.CHUNK_COUNT: chunk_count,
        semconv.BODY_SIZE: size,
    }
    if first_byte_ns is not None:
        attributes[semconv.TIME_TO_FIRST_BYTE] = to_s(first_byte_ns)
    if error_type is not None:
        attributes[semconv.ERROR_TYPE] = error_type
    span.set_attributes(attributes)


def context_below(span: Span | None) -> Context:
    """Return the current context with `span`, if any, as its current span."""
    current = otel_context.get_current()
    return current if span is None else trace.set_span_in_context(span, current)


def _headers_of(scope: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _addresses_of(scope: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    client, server = scope.get("client"), scope.get("server")
    address, port = server if server else (None, None)
    if "host" in headers:
        try:
            url = urlsplit("//" + headers["host"])
            address, port = url.hostname, url.port or _DEFAULT_PORTS.get(scope.get("scheme", "http"))
        except ValueError:
            address = port = None
    return {
        semconv.SERVER_ADDRESS: address,
        semconv.SERVER_PORT: port,
        semconv.CLIENT_ADDRESS: client[0] if client else None,
    }


def route_of(scope: Any) -> str | None:
    """Return the route's template, which Starlette's router leaves in the scope."""
    path = getattr(scope.get("route"), "path_format", None)
    return scope.get("root_path", "").rstrip("/") + path if isinstance(path, str) else None

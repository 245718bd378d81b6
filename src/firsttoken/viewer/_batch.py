"""A request of OTLP as rows for the store. Floor 5 (viewer), pure; intake threads.

Cost: about 15 µs a span, 0.1 µs a token event; tests/bench/bench_viewer.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from google.protobuf.message import DecodeError as NotProtobuf  # type: ignore[import-untyped]
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from firsttoken import semconv
from firsttoken._tell.told import Said, SpanEvent, Told, told_of
from firsttoken.errors import DecodeError
from firsttoken.viewer._columns import stream_row
from firsttoken.viewer._values import attributes_of
from firsttoken.viewer._wire import Request, ResourceSpans, ScopeSpans, ShallowSpan

SPAN_MAX_BYTES: Final = 8 << 20
SPANS_MAX: Final = 100_000
ATTRIBUTES_MAX: Final = 1_000
EVENTS_MAX: Final = 200_000
LINKS_MAX: Final = 10_000
_GROUPS_MAX: Final = 10_000
_ENVELOPE_MAX_BYTES: Final = 1 << 20
#: Smaller spans cannot have so many parts that it matters.
_SMALL: Final = 1 << 16
_TIME_MAX: Final = (1 << 63) - 1
_OUTCOME: Final = semconv.OUTCOME.encode()
_ROUTES: Final = (semconv.HTTP_ROUTE.encode(), semconv.URL_PATH.encode())


@dataclass
class Batch:
    """What one request brings.

    spans: (trace id, span id, parent id or None, envelope's key, start (ns), route or None, bytes) each.
    envelopes: (trace id, key, bytes) each.
    streams: a row of `STREAM_COLUMNS` each.
    refused: why, for each span that is not taken.
    """

    spans: list[tuple[Any, ...]] = field(default_factory=list)
    envelopes: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    streams: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    size: int = 0


def read_batch(body: bytes) -> Batch:
    """Read an ExportTraceServiceRequest.

    Raises: DecodeError: if it is none, or one of a shape that nobody sends.
    """
    batch = Batch(size=len(body))
    try:
        for resource, group, scope in _groups(body):
            _read_scope(batch, resource, group, scope)
    except NotProtobuf as error:
        raise DecodeError("the body is no ExportTraceServiceRequest") from error
    return batch


def is_stream(attributes: dict[str, Any]) -> bool:
    """Return whether a span is a stream's own; the SERVER span around one has an outcome and no more."""
    return semconv.OUTCOME in attributes and semconv.WAIT in attributes


def told_of_span(span: Span, attributes: dict[str, Any], *, all_events: bool) -> Told:
    """Return what a stream's span says.

    all_events: also those of chunks, where there is a timeline that tells the same.
    """
    return told_of(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=attributes,
        events=_events(span, all_events or semconv.TIMELINE not in attributes),
    )


def route_of(attributes: dict[str, Any]) -> str | None:
    """Return the route that a span itself names."""
    said = Said(attributes)
    return said.text(semconv.HTTP_ROUTE) or said.text(semconv.URL_PATH)


def _events(span: Span, with_chunks: bool) -> Iterator[SpanEvent]:
    for event in span.events:
        name = event.name
        if with_chunks or name != semconv.EVENT_CHUNK:
            yield name, event.time_unix_nano, attributes_of(event.attributes)


def _groups(body: bytes) -> Iterator[tuple[Resource, Any, Any]]:
    """Yield each scope's spans with the resource they have in common."""
    request = Request.FromString(body)
    if len(request.resource_spans) > _GROUPS_MAX:
        raise DecodeError(f"a request has at most {_GROUPS_MAX} resources")
    for part in request.resource_spans:
        group = ResourceSpans.FromString(part)
        scopes = list(group.scope_spans) if len(group.scope_spans) <= _GROUPS_MAX else None
        if scopes is None:
            raise DecodeError(f"a resource has at most {_GROUPS_MAX} scopes")
        if len(group.resource) > _ENVELOPE_MAX_BYTES:
            raise DecodeError(f"a resource has at most {_ENVELOPE_MAX_BYTES} bytes")
        resource = Resource.FromString(group.resource)
        for each in scopes:
            yield resource, group, ScopeSpans.FromString(each)


def _read_scope(batch: Batch, resource: Resource, group: Any, scope: Any) -> None:
    if len(batch.spans) + len(batch.refused) + len(scope.spans) > SPANS_MAX:
        raise DecodeError(f"a request has at most {SPANS_MAX} spans")
    bodies = list(scope.spans)
    scope.ClearField("spans")
    group.ClearField("scope_spans")
    group.scope_spans.append(scope.SerializeToString())
    envelope = group.SerializeToString()
    if len(envelope) > _ENVELOPE_MAX_BYTES:
        raise DecodeError(f"a resource and its scope have at most {_ENVELOPE_MAX_BYTES} bytes")
    key = blake2b(envelope, digest_size=8).digest()
    service = Said(attributes_of(resource.attributes)).text("service.name")
    for body in bodies:
        refusal = _refusal(body)
        if refusal is None:
            span = Span.FromString(body)
            refusal = _refusal_of(span)
        if refusal is not None:
            batch.refused.append(refusal)
            continue
        batch.envelopes.setdefault((span.trace_id, key), envelope)
        _add(batch, span, body, key, service)


def _add(batch: Batch, span: Span, body: bytes, key: bytes, service: str | None) -> None:
    route = None
    if _OUTCOME in body or any(name in body for name in _ROUTES):
        attributes = attributes_of(span.attributes)
        route = route_of(attributes)
        if is_stream(attributes):
            told = told_of_span(span, attributes, all_events=False)
            batch.streams.append(stream_row(told, span.name, service, route))
    batch.spans.append(
        (
            span.trace_id,
            span.span_id,
            span.parent_span_id or None,
            key,
            span.start_time_unix_nano,
            route,
            body,
        )
    )


def _refusal(body: bytes) -> str | None:
    """Return why a span is too large to look at, if it is."""
    if len(body) <= _SMALL:
        return None
    if len(body) > SPAN_MAX_BYTES:
        return f"a span has at most {SPAN_MAX_BYTES} bytes, not {len(body)}"
    parts = ShallowSpan.FromString(body)
    for name, count, most in (
        ("attributes", len(parts.attributes), ATTRIBUTES_MAX),
        ("events", len(parts.events), EVENTS_MAX),
        ("links", len(parts.links), LINKS_MAX),
    ):
        if count > most:
            return f"a span has at most {most} {name}, not {count}"
    return None


def _refusal_of(span: Span) -> str | None:
    """Return what is wrong with a span, if anything is."""
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "a trace id has 16 bytes that are not all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "a span id has 8 bytes that are not all zero"
    if span.parent_span_id and len(span.parent_span_id) != 8:
        return "a parent span id is empty or has 8 bytes"
    if max(span.start_time_unix_nano, span.end_time_unix_nano) > _TIME_MAX:
        return "a time is at most 2^63 - 1 ns after 1970"
    return None

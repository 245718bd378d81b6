"""One trace, whole: for the page, and as it came. Floor 5 (viewer); reader threads."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from firsttoken import semconv
from firsttoken._clock import NS_PER_S
from firsttoken._tell.told import Said, Told
from firsttoken.errors import FirstTokenError
from firsttoken.viewer import _wire
from firsttoken.viewer._batch import is_stream, told_of_span
from firsttoken.viewer._columns import sparkline_of, stall_fields, stream_fields
from firsttoken.viewer._otlp_json import to_json
from firsttoken.viewer._values import attributes_of

#: The page takes no more spans of one trace, and no more bytes of them; the download has all.
SPANS_MAX: Final = 5_000
SHOWN_MAX_BYTES: Final = 64 << 20
#: OTLP JSON is made in memory, at many times the size.
DOWNLOAD_MAX_BYTES: Final = 128 << 20
#: Of a larger trace, the one file has what the page shows, and not every span as it came as well.
SAVED_OTLP_MAX_BYTES: Final = 16 << 20
_STATUSES: Final = {0: "unset", 1: "ok", 2: "error"}
_USAGE: Final = "gen_ai.usage."


class TraceTooLarge(FirstTokenError):
    """A trace is larger than what is made of it in one piece."""


def trace_document(
    connection: sqlite3.Connection, trace_id: bytes, jaeger: str | None
) -> dict[str, Any] | None:
    """Return a trace as the page takes it; None if it is not kept.

    jaeger: URL of a Jaeger's traces, to which the id is added; None if there is none.
    """
    count, _ = _size(connection, trace_id)
    if not count:
        return None
    rows = _first_rows(connection, trace_id)
    routes = dict(
        connection.execute("SELECT span_id, route FROM stream WHERE trace_id = ?", (trace_id.hex(),))
    )
    spans = [Span.FromString(body) for body, _, _ in rows]
    origins = {envelope: _origin(envelope) for envelope in {row[2] for row in rows}}
    began_ns = min(span.start_time_unix_nano for span in spans)
    ended_ns = max(span.end_time_unix_nano for span in spans)
    name = trace_id.hex()
    return {
        "trace_id": name,
        "start_ms": began_ns / 1e6,
        "duration_s": max(0, ended_ns - began_ns) / NS_PER_S,
        "spans": [
            _span(span, began_ns, *origins[envelope], routes)
            for span, (_, _, envelope) in zip(spans, rows, strict=True)
        ],
        "otlp": f"/api/traces/{name}/otlp.json",
        "page": f"/api/traces/{name}/page.html",
        "jaeger": None if jaeger is None else f"{jaeger.rstrip('/')}/{name}",
        "spans_left_out": count - len(spans),
    }


def saved_document(connection: sqlite3.Connection, trace_id: bytes) -> dict[str, Any] | None:
    """Return a trace as the page takes it where there is no server; None if it is not kept.

    It has no URL in it, and the trace as OTLP JSON too, unless that is larger than a page should be.
    """
    document = trace_document(connection, trace_id, None)
    if document is None:
        return None
    _, size = _size(connection, trace_id)
    otlp = trace_otlp(connection, trace_id) if size <= SAVED_OTLP_MAX_BYTES else None
    return {
        **document,
        "otlp": None,
        "page": None,
        "otlp_json": None if otlp is None else msgspec.Raw(otlp),
    }


def trace_otlp(connection: sqlite3.Connection, trace_id: bytes) -> bytes | None:
    """Return a trace as OTLP JSON, each span as it came; None if it is not kept.

    Raises: TraceTooLarge: if it is.
    """
    _, size = _size(connection, trace_id)
    if size > DOWNLOAD_MAX_BYTES:
        raise TraceTooLarge(f"the trace has {size} bytes; at most {DOWNLOAD_MAX_BYTES} can be downloaded")
    spans: dict[bytes, list[bytes]] = defaultdict(list)
    rows = connection.execute(
        "SELECT envelope, body FROM span WHERE trace_id = ? ORDER BY start_ns, rowid", (trace_id,)
    )
    for key, body in rows:
        spans[key].append(body)
    if not spans:
        return None
    envelopes = dict(connection.execute("SELECT key, body FROM envelope WHERE trace_id = ?", (trace_id,)))
    traces = _wire.Request(
        resource_spans=[_wire.spans_under(envelopes[key], bodies) for key, bodies in spans.items()]
    )
    return to_json(traces.SerializeToString())


def _size(connection: sqlite3.Connection, trace_id: bytes) -> tuple[int, int]:
    """Return how many spans a trace has, and how many bytes."""
    count, size = connection.execute(
        "SELECT count(*), coalesce(sum(length(body)), 0) FROM span WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    return int(count), int(size)


def _first_rows(connection: sqlite3.Connection, trace_id: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return the first spans, at least one: body, id and envelope of each."""
    found: list[tuple[bytes, bytes, bytes]] = []
    size = 0
    for row in connection.execute(
        "SELECT span.body, span.span_id, envelope.body FROM span JOIN envelope "
        "ON envelope.trace_id = span.trace_id AND envelope.key = span.envelope "
        "WHERE span.trace_id = ? ORDER BY span.start_ns, span.rowid LIMIT ?",
        (trace_id, SPANS_MAX),
    ):
        size += len(row[0])
        if found and size > SHOWN_MAX_BYTES:
            break
        found.append(row)
    return found


def _origin(envelope: bytes) -> tuple[str | None, str | None]:
    """Return the names of service and scope."""
    group = _wire.ResourceSpans.FromString(envelope)
    resource = Resource.FromString(group.resource)
    scope = ScopeSpans.FromString(group.scope_spans[0]).scope
    return Said(attributes_of(resource.attributes)).text("service.name"), scope.name or None


def _span(
    span: Span,
    began_ns: int,
    service: str | None,
    scope: str | None,
    routes: Mapping[str, str | None],
) -> dict[str, Any]:
    attributes = attributes_of(span.attributes)
    detail, hides_chunks = None, False
    if is_stream(attributes):
        told = told_of_span(span, attributes, all_events=True)
        detail = _detail(span, told, attributes, service, routes.get(span.span_id.hex()))
        hides_chunks = bool(told.arrivals_s)
    return {
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        if span.kind in Span.SpanKind.values()
        else str(span.kind),
        "service": service,
        "scope": scope,
        "start_s": (span.start_time_unix_nano - began_ns) / NS_PER_S,
        "duration_s": max(0, span.end_time_unix_nano - span.start_time_unix_nano) / NS_PER_S,
        "status": _STATUSES.get(span.status.code, "unset"),
        "status_message": span.status.message or None,
        "attributes": attributes,
        "events": [
            {
                "name": event.name,
                "at_s": (event.time_unix_nano - began_ns) / NS_PER_S,
                "attributes": attributes_of(event.attributes),
            }
            for event in span.events
            if not (hides_chunks and event.name == semconv.EVENT_CHUNK)
        ],
        "links": [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
        "stream": detail,
    }


def _detail(
    span: Span, told: Told, attributes: Mapping[str, Any], service: str | None, route: str | None
) -> dict[str, Any]:
    error = None
    if told.error_type is not None:
        error = {"type": told.error_type, "at_s": told.duration_s if told.error_s is None else told.error_s}
    return {
        **stream_fields(told, span.name, service, route),
        "stalls": [stall_fields(stall) for stall in told.stalls],
        "sparkline": sparkline_of(told),
        "arrivals_s": told.arrivals_s,
        "texts": _texts(span, told),
        "first_token_s": told.time_to_first_token_s,
        "first_chunk_s": told.time_to_first_chunk_s,
        "done_s": told.done_s,
        "done_marker": told.done_marker,
        "error": error,
        "finish_reasons": told.finish_reasons,
        "usage": {
            key.removeprefix(_USAGE): value for key, value in attributes.items() if key.startswith(_USAGE)
        },
    }


def _texts(span: Span, told: Told) -> list[str | None] | None:
    """Return the captured text of each arrival; None if none was captured.

    Joined events have the text of all their chunks: it stands at the first of them.
    """
    texts: list[str | None] = [None] * len(told.arrivals_s)
    found = False
    for event in span.events:
        if event.name != semconv.EVENT_CHUNK:
            continue
        said = Said(attributes_of(event.attributes))
        text, index = said.text(semconv.TEXT), said.count(semconv.SEQUENCE)
        if text is None:
            continue
        if index is None:
            at_s = (event.time_unix_nano - told.started_ns) / NS_PER_S
            index = bisect_left(told.arrivals_s, at_s)
        if index < len(texts):
            texts[index] = text
            found = True
    return texts if found else None

"""Spans as OTLP protobuf bytes. Floor 3 (tell), pure; runs on the export thread.

A span is encoded once, when it is taken into the queue: bytes are smaller than the objects they stand
for, and their size is known. Only the chunk events stay packed until the span is sent.

Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct, pack
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status

from firsttoken.export._encode_events import EVENT_TAG
from firsttoken.export._encode_values import attributes, field, number_field, text_field, varint

_IDS: Final = Struct("<2s16s2s8s").pack
_TIMES: Final = Struct("<cQcQ").pack
_TIME: Final = Struct("<cQ").pack
_LINK_FLAGS: Final = Struct("<cI").pack
# Span flags: whether the parent is remote is known, and whether it is.
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_LOCAL_FLAGS: Final = pack("<2sI", b"\x85\x01", _HAS_IS_REMOTE)
_REMOTE_FLAGS: Final = pack("<2sI", b"\x85\x01", _HAS_IS_REMOTE | _IS_REMOTE)
_KINDS: Final = {kind: b"\x30" + varint(kind.value + 1) for kind in SpanKind}
_UNSET: Final = field(b"\x7a", b"")
# Room for the three counts of what was left out.
_COUNTS_BYTES: Final = 40


class EncodedSpan(NamedTuple):
    """A span as fields of OTLP, without its packed chunk events.

    resource, scope: the encoded fields around it; equal bytes mean the same resource and scope.
    body: every field of the span but its events and their dropped count.
    events: (Unix time in ns, encoded field) of each event that is an object, in order.
    dropped_events: how many events the SDK dropped, or did not fit.
    size: bytes in a request, without resource and scope.
    """

    resource: bytes
    scope: bytes
    body: bytes
    events: tuple[tuple[int, bytes], ...]
    dropped_events: int
    size: int


class Surroundings:
    """Encodes resources and scopes, each object once.

    Spans share a handful of them, so what was encoded is remembered by identity.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}

    def resource(self, resource: Resource) -> bytes:
        """Encode the `resource` and `schema_url` fields of a `ResourceSpans`."""
        known = self._known.get(id(resource))
        if known is not None:
            return known[1]
        fields, lost = attributes(b"\x0a", _pairs(resource.attributes))
        body = b"".join(fields) + number_field(b"\x10", lost)
        return self._remember(resource, field(b"\x0a", body) + text_field(b"\x1a", resource.schema_url))

    def scope(self, scope: InstrumentationScope | None) -> bytes:
        """Encode the `scope` and `schema_url` fields of a `ScopeSpans`."""
        if scope is None:
            return field(b"\x0a", b"")
        known = self._known.get(id(scope))
        if known is not None:
            return known[1]
        fields, lost = attributes(b"\x1a", _pairs(scope.attributes))
        body = text_field(b"\x0a", scope.name) + text_field(b"\x12", scope.version) + b"".join(fields)
        body += number_field(b"\x20", lost)
        return self._remember(scope, field(b"\x0a", body) + text_field(b"\x1a", scope.schema_url))

    def _remember(self, thing: object, encoded: bytes) -> bytes:
        if len(self._known) >= 256:
            self._known.clear()
        # The object is kept alive, so its id stays its own.
        self._known[id(thing)] = (thing, encoded)
        return encoded


def encode_span(
    span: ReadableSpan, surroundings: Surroundings, *, cap: int, skip_events: str = ""
) -> EncodedSpan:
    """Encode everything a span says but its packed chunk events.

    cap: bytes the span may take. Over it the largest events, links and attributes are left out, and
        counted where OTLP counts dropped ones; name and status message are cut.
    skip_events: name of events to leave out, uncounted.

    Raises:
        ValueError: if the span has no context.
    """
    context = span.get_span_context()
    if context is None:
        raise ValueError("the span has no context")
    told: Sequence[Event] = span.events
    if skip_events and told:
        told = [event for event in told if event.name != skip_events]
    head = _head(span, context, text_max=cap // 8)
    pairs, unknown = attributes(b"\x4a", _pairs(attributes_of(span)))
    links = [_link(link) for link in span.links]
    events = [_event(event) for event in told]
    lost: tuple[int, ...] = (0, 0, 0)
    if len(head) + _size(pairs) + _size(links) + _size(events) > cap - _COUNTS_BYTES:
        lost = _cut(pairs, links, events, cap - _COUNTS_BYTES - len(head))
    body = b"".join(
        [
            head,
            *pairs,
            number_field(b"\x50", span.dropped_attributes + unknown + lost[0]),
            *links,
            number_field(b"\x70", span.dropped_links + lost[1]),
        ]
    )
    return EncodedSpan(
        surroundings.resource(span.resource),
        surroundings.scope(span.instrumentation_scope),
        body,
        tuple([(event.timestamp, field) for event, field in zip(told, events, strict=True) if field])
        if events
        else (),
        span.dropped_events + lost[2],
        len(body) + _size(events),
    )


def _head(span: ReadableSpan, context: SpanContext, text_max: int) -> bytes:
    parts = [
        _IDS(
            b"\x0a\x10",
            context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            context.span_id.to_bytes(8, "big"),
        )
    ]
    if context.trace_state:
        members = context.trace_state.items()
        parts.append(text_field(b"\x1a", ",".join([f"{key}={value}" for key, value in members])))
    parent = span.parent
    if parent:
        parts.append(b"\x22\x08" + parent.span_id.to_bytes(8, "big"))
    parts.append(_REMOTE_FLAGS if parent and parent.is_remote else _LOCAL_FLAGS)
    parts.append(text_field(b"\x2a", span.name[:text_max]))
    parts.append(_KINDS[span.kind])
    parts.append(_TIMES(b"\x39", span.start_time or 0, b"\x41", span.end_time or 0))
    parts.append(_status(span.status, text_max))
    return b"".join(parts)


def _status(status: Status, text_max: int) -> bytes:
    code = status.status_code.value
    if not code:
        return _UNSET
    message = text_field(b"\x12", status.description[:text_max] if status.description else None)
    return field(b"\x7a", message + number_field(b"\x18", code))


def _event(event: Event) -> bytes:
    pairs, unknown = attributes(b"\x1a", _pairs(event.attributes))
    parts = [
        _TIME(b"\x09", event.timestamp or 0),
        text_field(b"\x12", event.name),
        *pairs,
        number_field(b"\x20", event.dropped_attributes + unknown),
    ]
    return field(EVENT_TAG, b"".join(parts))


def _link(link: Link) -> bytes:
    context = link.context
    pairs, unknown = attributes(b"\x22", _pairs(link.attributes))
    ids = _IDS(
        b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big")
    )
    flags = _HAS_IS_REMOTE | (_IS_REMOTE if context.is_remote else 0)
    parts = [
        ids,
        *pairs,
        number_field(b"\x28", link.dropped_attributes + unknown),
        _LINK_FLAGS(b"\x35", flags),
    ]
    return field(b"\x6a", b"".join(parts))


def _size(fields: list[bytes]) -> int:
    return sum(map(len, fields)) if fields else 0


def _cut(pairs: list[bytes], links: list[bytes], events: list[bytes], room: int) -> tuple[int, ...]:
    """Empty the largest fields of each kind until all fit; return how many of each are empty now."""
    lost = []
    for fields in (pairs, links, events):
        lost.append(0)
        size = _size(fields)
        largest_first = sorted(range(len(fields)), key=lambda index: len(fields[index]), reverse=True)
        for index in largest_first:
            if size <= room:
                break
            size -= len(fields[index])
            fields[index] = b""
            lost[-1] += 1
        room -= size
    return tuple(lost)


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    """Return a span's attributes, without the wrapper that the public property puts around them."""
    # A subclass may have a property of its own, to redact: then that one decides.
    attributes = span._attributes if type(span) is ReadableSpan else span.attributes
    return attributes or {}


def _pairs(mapping: Mapping[str, Any] | None) -> Iterable[tuple[str, Any]]:
    if not mapping:
        return ()
    # The SDK's mapping iterates in Python, the dict inside it in C; it no longer changes after the end.
    inner = getattr(mapping, "_dict", None)
    return inner.items() if isinstance(inner, dict) else mapping.items()

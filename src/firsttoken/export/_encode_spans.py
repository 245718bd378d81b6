"""Spans as OTLP protobuf bytes. Floor 3 (tell), pure; runs on the export thread.

A span is encoded once, when it is taken into the queue: bytes are smaller than the objects they stand
for, and their size is known. Only the chunk events stay packed until the span is sent.

Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from struct import Struct, pack
from typing import Any, Final, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

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
_KINDS: Final = {kind.value: b"\x30" + varint(kind.value + 1) for kind in SpanKind}
_UNSET: Final = field(b"\x7a", b"")
# Room for the three counts of what was left out.
_COUNTS_BYTES: Final = 40
# How many span names are remembered, and how long these may be.
_KNOWN_NAMES_MAX: Final = 1024
_KNOWN_NAME_MAX: Final = 80
# What is read of a span. Its public properties wrap and copy what lies behind them; only a subclass may do
# more there, to redact, and then that counts.
_READ: Final = (
    *("name", "context", "parent", "kind", "status", "start_time", "end_time", "events", "links"),
    *("resource", "instrumentation_scope"),
)
_OUTSIDE: Final = attrgetter(*_READ)
_INSIDE: Final = attrgetter(*(f"_{name}" for name in _READ))
_HAS_INSIDE: Final = all(
    hasattr(ReadableSpan("", resource=Resource({})), f"_{name}") for name in (*_READ, "attributes")
)
_PLAIN: Final = ReadableSpan if _HAS_INSIDE else None
_BOUNDED: Final = (BoundedAttributes, BoundedList)
_NO_STATUS: Final = StatusCode.UNSET


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
        fields, lost = attributes(b"\x0a", _inner(resource.attributes).items())
        body = b"".join(fields) + number_field(b"\x10", lost)
        return self._remember(resource, field(b"\x0a", body) + text_field(b"\x1a", resource.schema_url))

    def scope(self, scope: InstrumentationScope | None) -> bytes:
        """Encode the `scope` and `schema_url` fields of a `ScopeSpans`."""
        if scope is None:
            return field(b"\x0a", b"")
        known = self._known.get(id(scope))
        if known is not None:
            return known[1]
        fields, lost = attributes(b"\x1a", _inner(scope.attributes).items())
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
    read = _INSIDE if type(span) is _PLAIN else _OUTSIDE
    name, context, parent, kind, status, start, end, told, linked, resource, scope = read(span)
    if context is None:
        raise ValueError("the span has no context")
    dropped_events = _dropped(told) if read is _INSIDE else span.dropped_events
    dropped_links = _dropped(linked) if read is _INSIDE else span.dropped_links
    if skip_events and told:
        told = [event for event in told if event.name != skip_events]
    pairs, unknown = attributes(b"\x4a", attributes_of(span).items())
    unknown += _dropped(span._attributes) if read is _INSIDE else span.dropped_attributes
    links = [_link(link) for link in linked] if linked else []
    events = [_event(event) for event in told] if told else []
    head = _head(name, context, parent, kind, status, start or 0, end or 0, cap // 8)
    body = _body(head, pairs, unknown, links, dropped_links)
    events_size = _size(events)
    if len(body) + events_size > cap:
        lost = _cut(pairs, links, events, cap - _COUNTS_BYTES - len(head))
        body = _body(head, pairs, unknown + lost[0], links, dropped_links + lost[1])
        dropped_events += lost[2]
        events_size = _size(events)
    return EncodedSpan(
        surroundings.resource(resource),
        surroundings.scope(scope),
        body,
        tuple([(event.timestamp, field) for event, field in zip(told, events, strict=True) if field])
        if events
        else (),
        dropped_events,
        len(body) + events_size,
    )


def _body(
    head: bytes, pairs: list[bytes], dropped_attributes: int, links: list[bytes], dropped_links: int
) -> bytes:
    parts = [head, *pairs]
    if dropped_attributes:
        parts.append(number_field(b"\x50", dropped_attributes))
    parts += links
    if dropped_links:
        parts.append(number_field(b"\x70", dropped_links))
    return b"".join(parts)


def _head(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    status: Status,
    start_ns: int,
    end_ns: int,
    text_max: int,
) -> bytes:
    trace_id, span_id, _, _, trace_state, _ = context
    parts = [
        _IDS(b"\x0a\x10", trace_id.to_bytes(16, "big"), b"\x12\x08", span_id.to_bytes(8, "big")),
        _REMOTE_FLAGS if parent and parent.is_remote else _LOCAL_FLAGS,
        _known_names.get(name) or _name(name, text_max),
        _KINDS[kind._value_],
        _TIMES(b"\x39", start_ns, b"\x41", end_ns),
        _UNSET if status.status_code is _NO_STATUS else _status(status, text_max),
    ]
    if parent:
        parts.append(b"\x22\x08" + parent.span_id.to_bytes(8, "big"))
    if trace_state:
        members = trace_state.items()
        parts.append(text_field(b"\x1a", ",".join([f"{key}={value}" for key, value in members])))
    return b"".join(parts)


_known_names: dict[str, bytes] = {}


def _name(name: str, text_max: int) -> bytes:
    """Encode a span's name, remembered if it is short."""
    encoded = text_field(b"\x2a", name[:text_max])
    if len(name) <= _KNOWN_NAME_MAX:
        if len(_known_names) >= _KNOWN_NAMES_MAX:
            _known_names.clear()
        _known_names[name] = encoded
    return encoded


def _status(status: Status, text_max: int) -> bytes:
    message = text_field(b"\x12", status.description[:text_max] if status.description else None)
    return field(b"\x7a", message + number_field(b"\x18", status.status_code.value))


def _event(event: Event) -> bytes:
    pairs, unknown = attributes(b"\x1a", _inner(event.attributes).items())
    parts = [
        _TIME(b"\x09", event.timestamp or 0),
        text_field(b"\x12", event.name),
        *pairs,
        number_field(b"\x20", event.dropped_attributes + unknown),
    ]
    return field(EVENT_TAG, b"".join(parts))


def _link(link: Link) -> bytes:
    context = link.context
    pairs, unknown = attributes(b"\x22", _inner(link.attributes).items())
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
    """Return a span's attributes, without what the SDK wraps around them."""
    return _inner(span._attributes if type(span) is _PLAIN else span.attributes)


def _dropped(kept: object) -> int:
    """Return how many the SDK's bounded collection turned away; 0 for any other."""
    return kept.dropped if type(kept) in _BOUNDED else 0  # type: ignore[attr-defined]


def _inner(mapping: Mapping[str, Any] | None) -> Mapping[str, Any]:
    # The SDK's mapping iterates in Python, the dict inside it in C; it no longer changes after the end.
    inner = mapping._dict if type(mapping) is BoundedAttributes else mapping
    return inner or {}

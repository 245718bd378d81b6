"""OTLP's messages, read only as deep as they are told apart. Floor 5 (viewer); any thread, pure.

An empty span takes two bytes on the wire and hundreds in memory: a small body could fill any machine.
These are the same messages with the levels below left as bytes, so that they can be counted first. As a
span stays the bytes it came as, what is kept is exactly what was sent, fields that nobody here knows
included.

Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

_PACKAGE: Final = "firsttoken.viewer"
_FIELD: Final = descriptor_pb2.FieldDescriptorProto

#: Message -> (name, number, whether repeated) of each field; all of type bytes.
_MESSAGES: Final = {
    "Request": (("resource_spans", 1, True),),
    "ResourceSpans": (("resource", 1, False), ("scope_spans", 2, True), ("schema_url", 3, False)),
    "ScopeSpans": (("scope", 1, False), ("spans", 2, True), ("schema_url", 3, False)),
    "Span": (("attributes", 9, True), ("events", 11, True), ("links", 13, True)),
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="firsttoken/viewer/shallow.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            message.field.add(name=field, number=number, label=label, type=_FIELD.TYPE_BYTES)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES: Final = _classes()
Request: Final = _CLASSES["Request"]
ResourceSpans: Final = _CLASSES["ResourceSpans"]
ScopeSpans: Final = _CLASSES["ScopeSpans"]
ShallowSpan: Final = _CLASSES["Span"]


def spans_under(envelope: bytes, spans: list[bytes]) -> bytes:
    """Return the ResourceSpans that came in an envelope: its resource and scope, and these spans."""
    group = ResourceSpans.FromString(envelope)
    scope = ScopeSpans.FromString(group.scope_spans[0])
    scope.spans.extend(spans)
    group.scope_spans[0] = scope.SerializeToString()
    return bytes(group.SerializeToString())

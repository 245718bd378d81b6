"""Spans as OTLP JSON lines, and back. Floor 3 (tell), pure; runs on the export thread.

Protobuf is imported at the first line, not with the package.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and
https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ (ids in hex, 64-bit integers in quotes,
enumerations as numbers, one request a line).
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from firsttoken._clock import to_s
from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.export._batch import encode_request
from firsttoken.export._lazily import PROTOBUF, load
from firsttoken.export._queue import Entry
from firsttoken.semconv import COALESCED, EVENT_CHUNK, GAP, SEQUENCE, TEXT

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

#: No line is longer: log readers have such a limit by default.
LINE_MAX_BYTES: Final = 1 << 20
_OPEN: Final = b'{"resourceSpans":['
_CLOSE: Final = b"]}"
_EVENT: Final = (
    f'{{"timeUnixNano":"%d","name":"{EVENT_CHUNK}","attributes":['
    f'{{"key":"{SEQUENCE}","value":{{"intValue":"%d"}}}}%s]}}'
)
_GAP: Final = f',{{"key":"{GAP}","value":{{"doubleValue":%r}}}}'
_COALESCED: Final = f',{{"key":"{COALESCED}","value":{{"intValue":"%d"}}}}'
_TEXT: Final = f',{{"key":"{TEXT}","value":{{"stringValue":%s}}}}'
_PIECE: Final = 64


def span_line(entry: Entry, breathe: Callable[[], None]) -> bytes | None:
    """Return the span as one line of OTLP JSON; None if it is over `LINE_MAX_BYTES` whatever is left out.

    Chunk events are joined, and in the end left out and counted, until the line is short enough.
    """
    before, events, after = _span_text(entry)
    while True:
        line = b"".join([before, b",".join(_event_texts(entry.chunks, events, breathe)), after])
        if len(line) <= LINE_MAX_BYTES:
            return line
        if entry.chunks is None:
            return None
        rest = len(before) + sum(len(event) + 1 for _, event in events) + len(after)
        # Joined events are longer, so fewer of them fit than the share of the room says.
        fewer = len(entry.chunks) * (LINE_MAX_BYTES - rest) // (len(line) - rest) * 2 // 3
        if fewer < 2:
            entry.drop_chunks()
            before, events, after = _span_text(entry)
        else:
            entry.tell(entry.chunks.coalesced(fewer, breathe))


def join_lines(lines: Iterable[bytes]) -> bytes:
    """Join lines, as `checked_line` returns them, to one request."""
    return _OPEN + b",".join(filter(None, [line[len(_OPEN) : -len(_CLOSE)] for line in lines])) + _CLOSE


def checked_line(line: bytes) -> bytes | None:
    """Return the line in the form `join_lines` takes; None if it is seen to be torn or no OTLP JSON.

    Damage that leaves the braces even is not seen: parsing every line costs too much.
    """
    line = line.strip()
    if line.startswith(_OPEN) and line.endswith(_CLOSE) and line.count(b"}") == line.count(b"{"):
        return line
    return _rewritten(line)


def proven_line(line: bytes) -> bytes | None:
    """Return the line in the form `join_lines` takes; None if it cannot be parsed to the last byte."""
    rewritten = _rewritten(line)
    try:
        to_protobuf(rewritten or b"")
    except ValueError:
        return None
    return rewritten


def to_protobuf(request: bytes) -> bytes:
    """Encode a request in OTLP JSON as protobuf.

    Raises:
        ValueError: if it is not OTLP JSON.
    """
    load(PROTOBUF)
    from google.protobuf import json_format  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        message = json.loads(request)
        for span in _spans_of(message):
            for holder in (span, *span.get("links", ())):
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in holder:
                        holder[key] = b64encode(bytes.fromhex(holder[key])).decode()
        parsed = json_format.ParseDict(message, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        return bytes(parsed.SerializeToString())
    except (json_format.ParseError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError("not OTLP JSON") from error


def _rewritten(line: bytes) -> bytes | None:
    """Parse a line and write it anew, with nothing but its spans; None if it is no JSON of that kind."""
    try:
        groups = json.loads(line)["resourceSpans"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(groups, list):
        return None
    return _OPEN + json.dumps(groups, separators=(",", ":")).encode()[1:-1] + _CLOSE


def _no_pause() -> None:
    return None


def _spans_of(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in message.get("resourceSpans", ()):
        for scope in group.get("scopeSpans", ()):
            yield from scope.get("spans", ())


def _span_text(entry: Entry) -> tuple[bytes, list[tuple[int, bytes]], bytes]:
    """Return the line up to the events, each event that is an object, and the rest of the line."""
    load(PROTOBUF)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bare = Entry(entry.number, entry.span, None)
    bare.dropped_chunks = entry.dropped_chunks
    group = ExportTraceServiceRequest.FromString(
        b"".join(encode_request([bare], _no_pause))
    ).resource_spans[0]
    scoped = group.scope_spans[0]
    span = scoped.spans[0]
    resource = _without_empty({"attributes": _attributes(group.resource.attributes)})
    scope = _without_empty(
        {
            "name": scoped.scope.name,
            "version": scoped.scope.version,
            "attributes": _attributes(scoped.scope.attributes),
        }
    )
    events = [
        (
            event.time_unix_nano,
            _dump(
                _without_empty(
                    {
                        "timeUnixNano": str(event.time_unix_nano),
                        "name": event.name,
                        "attributes": _attributes(event.attributes),
                        "droppedAttributesCount": event.dropped_attributes_count,
                    }
                )
            ),
        )
        for event in span.events
    ]
    before = b"".join(
        [
            _OPEN,
            b'{"resource":',
            _dump(resource),
            b',"scopeSpans":[{"scope":',
            _dump(scope),
            b',"spans":[',
            _dump(_span(span))[:-1],
            b',"events":[',
        ]
    )
    urls = [_without_empty({"schemaUrl": each.schema_url}) for each in (scoped, group)]
    ends = [b"," + _dump(url)[1:] if url else b"}" for url in urls]
    return before, events, b"".join([b"]}]", ends[0], b"]", ends[1], _CLOSE])


def _span(span: Span) -> dict[str, Any]:
    return _without_empty(
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "traceState": span.trace_state,
            "parentSpanId": span.parent_span_id.hex(),
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": str(span.start_time_unix_nano),
            "endTimeUnixNano": str(span.end_time_unix_nano),
            "attributes": _attributes(span.attributes),
            "droppedAttributesCount": span.dropped_attributes_count,
            "droppedEventsCount": span.dropped_events_count,
            "links": [
                _without_empty(
                    {
                        "traceId": link.trace_id.hex(),
                        "spanId": link.span_id.hex(),
                        "attributes": _attributes(link.attributes),
                        "droppedAttributesCount": link.dropped_attributes_count,
                        "flags": link.flags,
                    }
                )
                for link in span.links
            ],
            "droppedLinksCount": span.dropped_links_count,
            "flags": span.flags,
        }
    ) | {"status": _without_empty({"message": span.status.message, "code": span.status.code})}


def _without_empty(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if value}


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _attributes(pairs: Iterable[KeyValue]) -> list[dict[str, Any]]:
    return [{"key": pair.key, "value": _value(pair.value)} for pair in pairs]


def _value(value: AnyValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": value.string_value}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "double_value":
        return {"doubleValue": _number(value.double_value)}
    if kind == "bool_value":
        return {"boolValue": value.bool_value}
    if kind == "bytes_value":
        return {"bytesValue": b64encode(value.bytes_value).decode()}
    if kind == "array_value":
        return {"arrayValue": {"values": [_value(item) for item in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": _attributes(value.kvlist_value.values)}}
    return {}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _event_texts(
    chunks: ChunkEvents | None, events: list[tuple[int, bytes]], breathe: Callable[[], None]
) -> Iterator[bytes]:
    """Yield all events in the order of time."""
    begin = 0
    for time_ns, event in events:
        if chunks is not None:
            end = bisect_right(chunks.times_ns, time_ns, begin)
            yield from _chunk_texts(chunks, begin, end, breathe)
            begin = end
        yield event
    if chunks is not None:
        yield from _chunk_texts(chunks, begin, len(chunks), breathe)


def _chunk_texts(chunks: ChunkEvents, begin: int, end: int, breathe: Callable[[], None]) -> Iterator[bytes]:
    for index in range(begin, end):
        time_ns, sequence, gap_ns, count, text = chunks.row(index)
        more = _GAP % to_s(gap_ns) if gap_ns != NO_GAP else ""
        if count > 1:
            more += _COALESCED % count
        if text is not None:
            more += _TEXT % json.dumps(text)
        yield (_EVENT % (time_ns, sequence, more)).encode()
        if index % _PIECE == 0:
            breathe()

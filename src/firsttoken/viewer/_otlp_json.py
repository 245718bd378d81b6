"""OTLP's JSON to protobuf and back. Floor 5 (viewer), pure; intake and reader threads.

It is protobuf's own JSON with ids in hex instead of base64 and enumerations as numbers.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from firsttoken.errors import DecodeError

_IDS: Final = ("traceId", "spanId", "parentSpanId")


def to_protobuf(body: bytes) -> bytes:
    """Return a request in JSON as protobuf.

    Raises: DecodeError: if it is no OTLP JSON.
    """
    try:
        message = json.loads(body)
        for holder in _id_holders(message):
            for key in _IDS:
                if holder.get(key):
                    holder[key] = b64encode(bytes.fromhex(holder[key])).decode("ascii")
        request = json_format.ParseDict(message, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        return bytes(request.SerializeToString())
    except (ValueError, TypeError, AttributeError, RecursionError, json_format.ParseError) as error:
        # It is anybody's JSON: what is no dict, no list or no text where there should be one, ends here.
        raise DecodeError("the body is no OTLP JSON") from error


def to_json(traces: bytes) -> bytes:
    """Return TracesData as JSON."""
    message = json_format.MessageToDict(TracesData.FromString(traces), use_integers_for_enums=True)
    for holder in _id_holders(message):
        for key in _IDS:
            if key in holder:
                holder[key] = b64decode(holder[key]).hex()
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _id_holders(message: Any) -> Iterator[dict[str, Any]]:
    """Yield the spans of a message and their links."""
    for group in message.get("resourceSpans") or ():
        for scope in group.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield span
                yield from span.get("links") or ()

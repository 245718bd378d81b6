"""What any SDK and the collector send is taken, and comes out as it went in."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64decode
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace import Status as SpanStatus

import firsttoken
from firsttoken.cli._wire import scripted
from firsttoken.export import StreamSpanProcessor
from firsttoken.viewer._otlp_json import to_protobuf

from .running import JSON, PROTOBUF, STARTED_NS, Running, key, request, span, stream


def spans_of(message: ExportTraceServiceRequest) -> dict[bytes, tuple[str, str, str]]:
    """Return each span by its id, with resource and scope, as text that can be compared."""
    return {
        each.span_id: (str(group.resource), str(scope.scope), str(each))
        for group in message.resource_spans
        for scope in group.scope_spans
        for each in scope.spans
    }


def downloaded(viewer: Running, trace_id: str) -> ExportTraceServiceRequest:
    answer = viewer.client.get(f"/api/traces/{trace_id}/otlp.json")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    return ExportTraceServiceRequest.FromString(to_protobuf(answer.content))


def made_spans() -> list[ReadableSpan]:
    """Return spans with everything that a span can have, in two scopes of one resource."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "chat", "n": 1}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("one", "1.0", "https://schema").start_as_current_span("outer") as outer:
        inner = provider.get_tracer("two", attributes={"a": True}).start_span(
            "inner — ünïcode \u2028 🙂",
            kind=SpanKind.CLIENT,
            links=[Link(outer.get_span_context(), {"l": 1})],
        )
        inner.set_attributes(
            {"s": "text", "i": -(2**63), "f": 1e-300, "b": False, "list": ["a", "b"], "floats": [0.5, 1.5]}
        )
        inner.add_event("event", {"k": "v"}, STARTED_NS)
        inner.set_status(SpanStatus(StatusCode.ERROR, "it failed"))
        inner.end()
    return list(memory.get_finished_spans())


@pytest.mark.parametrize("compression", list(Compression))
def test_the_stock_exporter_s_spans_are_kept_field_by_field(
    viewer: Running, compression: Compression
) -> None:
    spans = made_spans()
    exporter = OTLPSpanExporter(f"{viewer.url}/v1/traces", compression=compression)
    assert exporter.export(spans).name == "SUCCESS"
    exporter.shutdown()
    assert spans[0].context is not None
    kept = downloaded(viewer, f"{spans[0].context.trace_id:032x}")
    assert spans_of(kept) == spans_of(encode_spans(spans))


def test_our_own_processor_s_stream_is_listed_with_all_its_chunks(viewer: Running) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "mine"}), shutdown_on_exit=False)
    processor = StreamSpanProcessor(f"{viewer.url}/v1/traces")
    provider.add_span_processor(processor)
    pieces = list(scripted(seed=1, number=1, duration_s=1.0))
    traced = firsttoken.trace_stream([piece.data for piece in pieces], tracer_provider=provider)
    for _ in traced:
        pass
    assert firsttoken.flush(60)
    assert provider.force_flush(60_000)
    provider.shutdown()
    (listed,) = viewer.streams()
    assert (listed["trace_id"], listed["span_id"]) == (traced.trace_id, traced.span_id)
    assert (listed["outcome"], listed["service"]) == ("completed", "mine")
    assert listed["chunk_count"] == len(pieces)
    assert listed["output_tokens"] == len(pieces) - 4
    (shown,) = viewer.get(f"/api/traces/{traced.trace_id}")["spans"]
    assert len(shown["stream"]["arrivals_s"]) == len(pieces)
    assert not any(event["name"] == "firsttoken.chunk" for event in shown["events"])


def test_json_has_ids_in_hex_and_long_numbers_in_quotes(viewer: Running) -> None:
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "js"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "s"},
                        "spans": [
                            {
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "parentSpanId": "EEE19B7EC3C1B173",
                                "name": "I am a span",
                                "kind": 2,
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": "1544712661000000000",
                                "attributes": [
                                    {"key": "i", "value": {"intValue": "9007199254740993"}},
                                    {"key": "d", "value": {"doubleValue": "NaN"}},
                                ],
                                "unknown": {"field": [1]},
                            }
                        ],
                    }
                ],
            }
        ]
    }
    answer = viewer.post(json.dumps(body).encode(), {"content-type": "application/json; charset=utf-8"})
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (
        200,
        "application/json",
        {},
    )
    trace_id = "5b8efff798038103d269b633813fc60c"
    (shown,) = viewer.get(f"/api/traces/{trace_id}")["spans"]
    assert (shown["span_id"], shown["parent_id"]) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert (shown["service"], shown["kind"]) == ("js", "server")
    assert shown["attributes"] == {"i": 9007199254740993, "d": None}
    said = json.loads(viewer.client.get(f"/api/traces/{trace_id}/otlp.json").content)
    (kept,) = said["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert kept["traceId"] == trace_id
    assert kept["startTimeUnixNano"] == "1544712660000000000"
    assert kept["attributes"][0] == {"key": "i", "value": {"intValue": "9007199254740993"}}


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
def test_bodies_come_compressed_or_not(viewer: Running, encoding: str, encode: Any) -> None:
    body = request(stream(1)).SerializeToString()
    answer = viewer.post(encode(body), {**PROTOBUF, "content-encoding": encoding})
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(viewer.streams()) == 1


def test_what_is_acknowledged_is_there_at_once(viewer: Running) -> None:
    for trace in range(1, 30):
        assert viewer.post(request(stream(trace)).SerializeToString()).status_code == 200
        assert viewer.get("/api/streams", limit=1)["total"] == trace


def test_a_span_that_comes_twice_is_kept_once_as_it_came_last(viewer: Running) -> None:
    viewer.post(request(stream(1), span(1, 2, 1)).SerializeToString())
    viewer.post(request(stream(1, firsttoken__outcome="failed"), span(1, 2, 1)).SerializeToString())
    (listed,) = viewer.streams()
    assert listed["outcome"] == "failed"
    assert len(viewer.get(f"/api/traces/{key(1).hex()}")["spans"]) == 2
    assert viewer.get("/api/health")["spans"] == 2


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_spans_that_cannot_be_kept_are_counted_and_the_others_are_kept(
    viewer: Running, headers: dict[str, str]
) -> None:
    message = request(
        stream(1),
        span(2, 2) | {"trace_id": bytes(16)},
        span(3, 3) | {"span_id": b"short"},
        span(4, 4) | {"parent_span_id": b"1"},
        span(5, 5) | {"end_time_unix_nano": 2**64 - 1},
    )
    body = message.SerializeToString()
    if headers is JSON:
        told = json_format.MessageToDict(message, use_integers_for_enums=True)
        for each in told["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for name in {"traceId", "spanId", "parentSpanId"} & each.keys():
                each[name] = b64decode(each[name]).hex()
        body = json.dumps(told).encode()
    answer = viewer.post(body, headers)
    assert answer.status_code == 200
    said = ExportTraceServiceResponse()
    if headers is JSON:
        json_format.Parse(answer.content, said)
    else:
        said.MergeFromString(answer.content)
    assert said.partial_success.rejected_spans == 4
    assert "a span id has 8 bytes" in said.partial_success.error_message
    assert viewer.get("/api/health")["spans"] == 1


def test_metrics_and_logs_are_taken_and_forgotten(viewer: Running) -> None:
    for path in ("/v1/metrics", "/v1/logs"):
        assert viewer.client.post(path, content=b"\x0a\x00", headers=PROTOBUF).status_code == 200
        assert viewer.client.post(path, content=b"{}", headers=JSON).json() == {}
    assert viewer.get("/api/health")["spans"] == 0


def test_a_refusal_is_a_status_in_the_type_of_the_request(viewer: Running) -> None:
    answer = viewer.post(b"\xff\xff\xff")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/x-protobuf")
    assert Status.FromString(answer.content).message == "the body is no ExportTraceServiceRequest"
    answer = viewer.post(b"[", JSON)
    assert (answer.status_code, answer.json()) == (400, {"code": 3, "message": "the body is no OTLP JSON"})
    assert viewer.post(b"", {"content-type": "text/plain"}).status_code == 415
    assert viewer.post(b"", {**PROTOBUF, "content-encoding": "br"}).status_code == 415
    assert viewer.client.get("/v1/traces").status_code == 405


def test_an_empty_request_is_a_probe_and_fine(viewer: Running) -> None:
    assert viewer.post(b"").status_code == 200
    assert viewer.post(b"{}", JSON).status_code == 200

"""OTLP JSON lines say what the protobuf request says, and any OTLP reader can read them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import Event, ReadableSpan

from firsttoken.export._batch import CAP_BYTES, encode_request
from firsttoken.export._encode_spans import Surroundings, encode_span
from firsttoken.export._otlp_json import (
    LINE_MAX_BYTES,
    checked_line,
    join_lines,
    proven_line,
    span_line,
    to_protobuf,
)
from firsttoken.export._queue import Entry
from tests.export.spans import NOW, chunk_events, entry, no_pause, readable_spans


def as_request(*entries: Entry) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(b"".join(encode_request(entries, no_pause)))


def from_line(line: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(to_protobuf(line))


@settings(max_examples=80, deadline=None)
@given(readable_spans, st.integers(0, 20))
def test_a_line_says_what_the_request_says(made: ReadableSpan, events: int) -> None:
    chunks = chunk_events(events, texts=["t"] * events) if events else None
    told = Entry(0, encode_span(made, Surroundings(), cap=CAP_BYTES), chunks)
    line = span_line(told, no_pause)
    assert line is not None
    assert b"\n" not in line
    assert from_line(line) == as_request(told)


def test_ids_are_hex_and_wide_integers_are_strings() -> None:
    line = span_line(entry(0x1234, chunk_events(1), attributes={"n": 2**60}), no_pause)
    (told,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert told["traceId"] == f"{0xABC:032x}"
    assert told["spanId"] == f"{0x1234:016x}"
    assert told["kind"] == 1
    assert told["startTimeUnixNano"] == str(NOW)
    assert told["attributes"] == [{"key": "n", "value": {"intValue": str(2**60)}}]
    assert told["events"][0]["attributes"] == [{"key": "firsttoken.sequence", "value": {"intValue": "0"}}]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_json_has_no_form_for_are_words(value: float) -> None:
    line = span_line(entry(1, attributes={"n": value}), no_pause)
    (pair,) = from_line(line).resource_spans[0].scope_spans[0].spans[0].attributes
    assert repr(pair.value.double_value) == repr(value)


def test_events_stand_in_the_order_of_time() -> None:
    events = [Event("first_token", {"a": 1}, NOW + 20_000_000)]
    told = entry(1, chunk_events(3), events=events)
    assert from_line(span_line(told, no_pause)) == as_request(told)


def test_no_line_is_longer_than_a_reader_reads() -> None:
    told = entry(1, chunk_events(20_000))
    line = span_line(told, no_pause)
    assert LINE_MAX_BYTES // 4 < len(line) <= LINE_MAX_BYTES
    assert from_line(line) == as_request(told)


def test_a_long_span_loses_its_chunks_before_its_line_is_given_up() -> None:
    told = entry(1, chunk_events(50), attributes={"big": "x" * (LINE_MAX_BYTES - 1000)})
    line = span_line(told, no_pause)
    assert len(line) <= LINE_MAX_BYTES
    assert from_line(line).resource_spans[0].scope_spans[0].spans[0].dropped_events_count == 50


def test_a_span_that_fits_into_no_line_has_none() -> None:
    assert span_line(entry(1, attributes={"big": "x" * LINE_MAX_BYTES}), no_pause) is None


def test_lines_join_to_one_request() -> None:
    entries = [entry(number, chunk_events(2)) for number in range(3)]
    joined = from_line(join_lines(span_line(each, no_pause) for each in entries))
    assert [group.scope_spans[0].spans[0].span_id[-1] for group in joined.resource_spans] == [0, 1, 2]


def test_a_line_of_another_writer_is_understood() -> None:
    line = span_line(entry(1), no_pause)
    spread = json.dumps(json.loads(line)).encode() + b"\r\n"
    assert from_line(join_lines([checked_line(spread)])) == from_line(line)


@pytest.mark.parametrize("cut", [1, 10, 100, -10, -2, -1])
def test_a_torn_line_is_recognised(cut: int) -> None:
    line = span_line(entry(1, chunk_events(3)), no_pause)
    assert checked_line(line) == line
    assert checked_line(line[:cut]) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"hello",
        b'{"resourceSpans":',
        b'{"resourceSpans": 5}',
        b"\xff\xfe",
        b"[" * 200_000,
    ],
)
def test_what_is_no_otlp_json_is_recognised(line: bytes) -> None:
    assert checked_line(line) is None


def test_a_line_without_spans_does_not_spoil_its_request() -> None:
    line = span_line(entry(1), no_pause)
    empty = checked_line(b'{"resourceSpans": []}')
    assert from_line(join_lines([empty, line, b'{"resourceSpans":[]}', line])) == from_line(
        join_lines([line, line])
    )


@pytest.mark.parametrize(("whole", "damaged"), [(b'"name"', b'"name\x00'), (b"Unix", b"Un\xff")])
def test_damage_that_leaves_the_braces_even_is_found_by_parsing(whole: bytes, damaged: bytes) -> None:
    line = span_line(entry(1, chunk_events(3)), no_pause)
    broken = line.replace(whole, damaged, 1)
    assert checked_line(broken) == broken
    assert proven_line(broken) is None
    assert proven_line(line + b"\n") == line


@pytest.mark.parametrize(
    "request_",
    [
        b"nope",
        b"[]",
        b"[" * 200_000,
        b'{"resourceSpans": [5]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
    ],
)
def test_what_cannot_become_protobuf_raises_a_value_error(request_: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_protobuf(request_)

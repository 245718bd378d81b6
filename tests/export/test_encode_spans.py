"""Our encoder says what the stock encoder says, and more where that one loses spans."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Status, StatusCode

from firsttoken.export._batch import CAP_BYTES, encode_request
from firsttoken.export._encode_spans import Surroundings, encode_span
from firsttoken.export._queue import Entry
from tests.export.spans import NOW, no_pause, readable_spans, span


def ours(spans: list[ReadableSpan], cap: int = CAP_BYTES) -> ExportTraceServiceRequest:
    surroundings = Surroundings()
    entries = [
        Entry(number, encode_span(each, surroundings, cap=cap), None) for number, each in enumerate(spans)
    ]
    return ExportTraceServiceRequest.FromString(b"".join(encode_request(entries, no_pause)))


def only(request: ExportTraceServiceRequest):
    (group,) = request.resource_spans
    (scope,) = group.scope_spans
    (told,) = scope.spans
    return told


@settings(max_examples=80, deadline=None)
@given(st.lists(readable_spans, max_size=3))
def test_says_what_the_stock_encoder_says(spans: list[ReadableSpan]) -> None:
    assert ours(spans) == encode_spans(spans)


def test_spans_of_equal_resources_and_scopes_share_a_group() -> None:
    assert len(ours([span(1), span(2)]).resource_spans) == 1


def test_huge_attributes_are_kept_as_long_as_they_fit() -> None:
    made = span(attributes={"big": "é" * 500_000, "many": list(range(20_000))})
    assert ours([made]) == encode_spans([made])


def test_dropped_counts_of_the_sdk_are_told() -> None:
    attributes = BoundedAttributes(1, {"a": 1, "b": 2})
    events = BoundedList(1)
    events.extend([Event("one", None, NOW), Event("two", None, NOW)])
    links = BoundedList(0)
    made = span(attributes=attributes, events=events, links=links)
    told = only(ours([made]))
    assert (told.dropped_attributes_count, told.dropped_events_count) == (1, 1)
    assert ours([made]) == encode_spans([made])


def test_a_lone_surrogate_costs_a_character_not_the_batch() -> None:
    told = only(ours([span(name="a\ud800b", attributes={"k": "x\udfffy"})]))
    assert told.name == "a?b"
    assert told.attributes[0].value.string_value == "x?y"


def test_an_integer_wider_than_otlp_keeps_its_digits() -> None:
    told = only(ours([span(attributes={"wide": 2**70})]))
    assert told.attributes[0].value.string_value == str(2**70)


def test_a_value_without_a_form_is_counted_as_a_dropped_attribute() -> None:
    told = only(ours([span(attributes={"odd": object(), "even": 2})]))
    assert [pair.key for pair in told.attributes] == ["even"]
    assert told.dropped_attributes_count == 1


def test_over_the_cap_the_largest_go_first_and_are_counted() -> None:
    made = span(
        name="n" * 5_000,
        attributes={"small": 1, "huge": "x" * 50_000},
        events=[Event("e" * 30_000, None, NOW), Event("small", None, NOW)],
        status=Status(StatusCode.ERROR, "m" * 50_000),
    )
    request = ours([made], cap=10_000)
    told = only(request)
    assert request.ByteSize() < 10_000 + 200
    assert [pair.key for pair in told.attributes] == ["small"]
    assert [event.name for event in told.events] == ["small"]
    assert (told.dropped_attributes_count, told.dropped_events_count) == (1, 1)
    assert told.name == "n" * 1250
    assert told.status.code == 2


def test_a_subclass_may_redact_its_attributes() -> None:
    class Redacted(ReadableSpan):
        @property
        def attributes(self):
            return {"safe": 1}

    told = only(ours([Redacted("r", span().context, attributes={"secret": "s"}, start_time=1, end_time=2)]))
    assert [pair.key for pair in told.attributes] == ["safe"]


def test_a_span_without_context_is_refused() -> None:
    with pytest.raises(ValueError, match="no context"):
        ours([ReadableSpan("none")])

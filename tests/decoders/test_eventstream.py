"""Eventstream framing agrees with botocore's, and finds its way back after broken frames."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.decoders import Undecoded, WireEvent
from firsttoken.decoders.eventstream import MAX_FRAME_BYTES, EventStreamFraming
from tests.corpus.writing import event, frame
from tests.decoders.corpus import cases
from tests.decoders.cutting import CUTS, cut, each_byte, framed

ONE, TWO = event("one", {"a": 1}), event("two", {"b": "é"})
RECORDED = [case for case in cases() if case.facts["framing"] == "eventstream"]


def test_frames_are_events_named_by_their_type() -> None:
    expected = [WireEvent(b'{"a":1}', "one"), WireEvent('{"b":"é"}'.encode(), "two")]
    assert framed(EventStreamFraming(), [ONE + TWO]) == expected
    assert framed(EventStreamFraming(), each_byte(ONE + TWO)) == expected


def test_an_exception_is_a_failure_named_by_its_type() -> None:
    body = frame({"message": "slow"}, exception_type="throttlingException", message_type="exception")
    assert framed(EventStreamFraming(), [body]) == [
        WireEvent(b'{"message":"slow"}', "throttlingException", failure=True)
    ]


def test_an_error_is_a_failure_named_by_its_code() -> None:
    body = frame(b"", error_code="InternalFailure", error_message="oh", message_type="error")
    (told,) = framed(EventStreamFraming(), [body])
    assert (told.name, told.failure, json.loads(told.data)) == ("InternalFailure", True, {"message": "oh"})


def test_headers_of_all_types_are_stepped_over() -> None:
    headers = b"".join(
        bytes([2]) + b"hX" + bytes([kind]) + value
        for kind, value in (
            (0, b""),
            (1, b""),
            (2, b"1"),
            (3, b"12"),
            (4, b"1234"),
            (5, b"12345678"),
            (6, b"\0\3abc"),
            (8, b"12345678"),
            (9, b"1" * 16),
        )
    )
    plain = frame({"a": 1}, event_type="one")
    (length,) = struct.unpack_from(">I", plain, 4)
    assert reframed(headers + plain[12 : 12 + length], b'{"a":1}') == [WireEvent(b'{"a":1}', "one")]


@pytest.mark.parametrize(
    "headers", [b"\xff", b"\5:even", b"\1a\7", b"\1a\7\xff\xff", b"\1a\x63\0\1x", b"\0"]
)
def test_broken_headers_do_not_cost_the_payload(headers: bytes) -> None:
    assert [told.data for told in reframed(headers, b"{}")] == [b"{}"]


def reframed(headers: bytes, payload: bytes) -> list[Any]:
    from zlib import crc32

    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start += struct.pack(">I", crc32(start))
    body = start + headers + payload
    return framed(EventStreamFraming(), [body + struct.pack(">I", crc32(body))])


def test_a_wrong_crc_of_the_payload_costs_that_frame() -> None:
    broken = ONE[:-6] + b"XX" + ONE[-4:]
    told = framed(EventStreamFraming(), [broken + TWO])
    assert [type(item) for item in told] == [Undecoded, WireEvent]


@pytest.mark.parametrize("place", [0, 3, 5, 9])
def test_after_a_broken_prelude_the_next_frame_is_found(place: int) -> None:
    broken = ONE[:place] + bytes([ONE[place] ^ 0x55]) + ONE[place + 1 :]
    for pieces in ([broken + TWO + ONE], each_byte(broken + TWO + ONE)):
        told = framed(EventStreamFraming(), pieces)
        assert [type(item) for item in told] == [Undecoded, WireEvent, WireEvent]


def test_a_frame_over_the_bound_is_passed_over() -> None:
    told = framed(EventStreamFraming(), [ONE, event("big", b"x" * MAX_FRAME_BYTES), TWO])
    assert [type(item) for item in told] == [WireEvent, Undecoded, WireEvent]


def test_a_frame_cut_off_by_the_end_is_counted() -> None:
    assert [type(item) for item in framed(EventStreamFraming(), [ONE + TWO[:-1]])] == [WireEvent, Undecoded]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=40)), max_size=5), CUTS)
@settings(max_examples=200, deadline=None)
def test_any_frames_at_any_cut_read_as_botocore_reads_them(
    frames: list[tuple[str, bytes]], places: list[int]
) -> None:
    body = b"".join(frame(payload, event_type=name, message_type="event") for name, payload in frames)
    assert framed(EventStreamFraming(), cut(body, places)) == by_botocore(body)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.facts["file"])
def test_the_corpus_reads_as_botocore_reads_it(case: Any) -> None:
    told = framed(EventStreamFraming(), [case.body])
    assert [(item.name, item.data) for item in told] == [
        (item.name, item.data) for item in by_botocore(case.body)
    ]


def by_botocore(body: bytes) -> list[WireEvent]:
    buffer = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(body)
    return [
        WireEvent(message.payload, message.headers.get(":event-type") or message.headers[":exception-type"])
        for message in buffer
    ]

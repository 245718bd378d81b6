"""NDJSON framing: one wire event per line that is not blank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.decoders import Undecoded, WireEvent
from firsttoken.decoders.ndjson import MAX_LINE_BYTES, NDJSONFraming
from tests.decoders.cutting import CUTS, cut, each_byte, framed


def test_lines_are_events_and_blank_ones_are_not() -> None:
    body = b'{"a":1}\n\n  \r\n{"b":2}\r\n'
    expected = [WireEvent(b'{"a":1}'), WireEvent(b'{"b":2}\r')]
    assert framed(NDJSONFraming(), [body]) == expected
    assert framed(NDJSONFraming(), each_byte(body)) == expected


def test_the_last_line_needs_no_end() -> None:
    assert framed(NDJSONFraming(), [b'{"a":1}\n{"b"', b":2}"]) == [
        WireEvent(b'{"a":1}'),
        WireEvent(b'{"b":2}'),
    ]


def test_line_ends_of_unicode_are_none() -> None:
    assert framed(NDJSONFraming(), ["a\u2028b\x85c\n".encode()]) == [WireEvent("a\u2028b\x85c".encode())]


@pytest.mark.parametrize("size", [1 << 16, 1 << 30])
def test_a_line_over_the_bound_is_one_loss(size: int) -> None:
    body = b"1\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\n2\n"
    told = framed(NDJSONFraming(), [body[at : at + size] for at in range(0, len(body), size)])
    assert [type(event) for event in told] == [WireEvent, Undecoded, WireEvent]


@given(st.lists(st.sampled_from([b"{}", b"[1]", b"", b" ", b"\xc3\xa9", b"\r"]), max_size=12), CUTS)
def test_any_cut_tells_the_same(lines: list[bytes], places: list[int]) -> None:
    body = b"\n".join(lines)
    expected = [WireEvent(line) for line in body.split(b"\n") if line.strip()]
    assert framed(NDJSONFraming(), cut(body, places)) == expected

"""Plain text is passed on as it comes, never cut inside a character."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firsttoken.decoders import WireEvent
from firsttoken.decoders.plain import PlainFraming
from tests.decoders.cutting import CUTS, cut, each_byte, framed


def test_each_chunk_is_an_event() -> None:
    assert framed(PlainFraming(), [b"a", b"", b" b"]) == [WireEvent(b"a"), WireEvent(b" b")]


def test_a_character_waits_for_its_last_byte() -> None:
    assert framed(PlainFraming(), each_byte("\U0001f469é".encode())) == [
        WireEvent("\U0001f469".encode()),
        WireEvent("é".encode()),
    ]


def test_bytes_that_are_no_utf8_do_not_wait() -> None:
    assert framed(PlainFraming(), [b"\x80\x80\x80\x80", b"\xffa"]) == [
        WireEvent(b"\x80\x80\x80\x80"),
        WireEvent(b"\xffa"),
    ]


def test_half_a_character_at_the_end_is_not_dispatched() -> None:
    assert framed(PlainFraming(), [b"a\xe2\x82"]) == [
        WireEvent(b"a"),
        WireEvent(b"\xe2\x82", dispatched=False),
    ]


@given(st.text(), CUTS)
def test_any_cut_keeps_the_text(text: str, places: list[int]) -> None:
    told = framed(PlainFraming(), cut(text.encode("utf-8", "replace"), places))
    assert "".join(event.data.decode() for event in told) == text.encode("utf-8", "replace").decode()

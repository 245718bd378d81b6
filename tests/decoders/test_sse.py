"""SSE framing follows the WHATWG rules, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.decoders import KeepAlive, Undecoded, WireEvent
from firsttoken.decoders.sse import MAX_EVENT_BYTES, SSEFraming
from tests.decoders.cutting import CUTS, cut, each_byte, framed


def events(body: bytes) -> list[WireEvent]:
    """Return the dispatched events, decoded whole; byte by byte must tell the same."""
    told = framed(SSEFraming(), [body])
    assert framed(SSEFraming(), each_byte(body)) == told
    return [event for event in told if isinstance(event, WireEvent) and event.dispatched]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_line_end_is_one(end: bytes) -> None:
    body = end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
    assert events(body) == [WireEvent(b"1", "a"), WireEvent(b"2")]


def test_a_crlf_that_a_cut_splits_is_one_line_end() -> None:
    framing = SSEFraming()
    assert not framing.feed(b"data: 1\r")
    assert list(framing.feed(b"\n\r")) == [WireEvent(b"1")]
    assert list(framing.feed(b"\ndata: 2\r\n\r\n")) == [WireEvent(b"2")]


def test_an_event_is_told_at_the_cr_that_may_begin_a_crlf() -> None:
    framing = SSEFraming()
    assert list(framing.feed(b"data: 1\r\n\r")) == [WireEvent(b"1")]


def test_data_lines_are_joined() -> None:
    assert events(b"data: a\ndata: b\ndata:\ndata: c\n\n") == [WireEvent(b"a\nb\n\nc")]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert events(b"data:a\n\ndata: b\n\ndata:  c\n\n") == [
        WireEvent(b"a"),
        WireEvent(b"b"),
        WireEvent(b" c"),
    ]


def test_empty_data_is_an_event() -> None:
    assert events(b"data:\n\ndata: \n\ndata\n\n") == [WireEvent(b""), WireEvent(b""), WireEvent(b"")]


def test_a_comment_is_a_sign_of_life_and_no_event() -> None:
    assert framed(SSEFraming(), [b": ping\n\n:\n"]) == [KeepAlive(), KeepAlive()]


def test_a_named_event_without_data_is_told_but_not_dispatched() -> None:
    assert framed(SSEFraming(), [b"event: end\n\n"]) == [WireEvent(b"", "end", dispatched=False)]


def test_the_name_of_an_event_without_data_does_not_stick() -> None:
    assert events(b"event: a\n\ndata: 1\n\n") == [WireEvent(b"1")]


def test_the_last_name_counts_and_an_empty_one_is_none() -> None:
    assert events(b"event: a\nevent: b\ndata: 1\n\nevent: a\nevent:\ndata: 2\n\n") == [
        WireEvent(b"1", "b"),
        WireEvent(b"2"),
    ]


def test_unknown_fields_and_lines_without_a_colon_are_nothing() -> None:
    assert events(b"id: 1\nretry: 5\nfoo: x\nbar\ndatum: y\n data: z\ndata: 1\n\n") == [WireEvent(b"1")]


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    assert events(b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n") == [
        WireEvent(b"1"),
        WireEvent(b"3"),
    ]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_what_splitlines_takes_for_a_line_end_is_none(odd: str) -> None:
    assert events(f"data: a{odd}b\n\n".encode()) == [WireEvent(f"a{odd}b".encode())]


def test_what_the_end_cuts_off_is_told_but_not_dispatched() -> None:
    assert framed(SSEFraming(), [b"data: 1\n\nevent: x\ndata: 2"]) == [
        WireEvent(b"1"),
        WireEvent(b"2", "x", dispatched=False),
    ]
    assert framed(SSEFraming(), [b"data: 1\n\nda"]) == [WireEvent(b"1")]


def test_a_broken_name_is_still_a_name() -> None:
    assert events(b"event: \xff\ndata: 1\n\n") == [WireEvent(b"1", "\ufffd")]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_an_event_over_the_bound_is_one_loss_and_the_next_is_read(pieces: int) -> None:
    body = b"event: x\ndata: " + b"y" * MAX_EVENT_BYTES + b"\ndata: z\n\ndata: 1\n\n"
    size = len(body) // pieces + 1
    told = framed(SSEFraming(), [body[at : at + size] for at in range(0, len(body), size)])
    assert [type(event) for event in told] == [Undecoded, WireEvent]
    assert told[1] == WireEvent(b"1")


def test_many_lines_over_the_bound_are_one_loss() -> None:
    framing = SSEFraming()
    told = [event for _ in range(18) for event in framing.feed(b"data: " + b"y" * (1 << 19) + b"\n")]
    assert not told
    assert [type(event) for event in framing.feed(b"\ndata: 1\n\n")] == [Undecoded, WireEvent]


def test_a_lost_event_at_the_end_is_counted() -> None:
    told = framed(SSEFraming(), [b"data: " + b"y" * MAX_EVENT_BYTES, b"y" * 100])
    assert [type(event) for event in told] == [Undecoded]


LINES = st.sampled_from(
    [
        "data: a",
        "data:b",
        "data",
        "data: ",
        "event: e",
        "event:",
        "event",
        ": c",
        ":",
        "id: 1",
        "x: y",
        "x",
        "",
        "",
        "",
    ]
)


@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=20), st.booleans(), CUTS)
@settings(max_examples=400, deadline=None)
def test_any_body_at_any_cut_reads_as_the_rules_say(
    lines: list[tuple[str, str]], mark: bool, places: list[int]
) -> None:
    text = ("\ufeff" if mark else "") + "".join(line + end for line, end in lines)
    told = framed(SSEFraming(), cut(text.encode(), places))
    dispatched = [
        (event.name, event.data.decode()) for event in told if getattr(event, "dispatched", False)
    ]
    assert dispatched == by_the_rules(text)


def by_the_rules(text: str) -> list[tuple[str | None, str]]:
    """Interpret an event stream literally as section 9.2.6 of the HTML standard has it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    dispatched: list[tuple[str | None, str]] = []
    data_buffer = event_type = ""
    for line in text.split("\n")[:-1]:
        if line == "":
            if data_buffer != "":
                dispatched.append((event_type or None, data_buffer.removesuffix("\n")))
            data_buffer = event_type = ""
        elif line.startswith(":"):
            pass
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type = value
            elif field == "data":
                data_buffer += value + "\n"
    return dispatched

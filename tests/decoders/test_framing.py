"""The framing is told by the content type or by the first bytes, wherever these are cut."""

from __future__ import annotations

import pytest

from firsttoken.decoders import KeepAlive, WireEvent
from firsttoken.decoders.framing import MAX_UNDECIDED_BYTES, UndecidedFraming
from tests.corpus.writing import event
from tests.decoders.cutting import each_byte, framed

SNIFFED = [
    (b"data: 1\n\n", "SSEFraming"),
    (b"data:1\n\n", "SSEFraming"),
    (b"\xef\xbb\xbfevent: x\ndata: 1\n\n", "SSEFraming"),
    (b": ping\n\n", "SSEFraming"),
    (b"\n\r\nid: 1\ndata: 1\n\n", "SSEFraming"),
    (b"retry: 1\r\n\r\n", "SSEFraming"),
    (b'{"a":1}\n', "NDJSONFraming"),
    (b' {"a":1}\n{}', "NDJSONFraming"),
    (b"{}\n", "NDJSONFraming"),
    (b'{\n  "a": 1\n}\n', "JSONArrayFraming"),
    (b'[{"a":1}', "JSONArrayFraming"),
    (b'[\n {"a":1}', "JSONArrayFraming"),
    (b"[]", "JSONArrayFraming"),
    (b"[DONE]", "PlainFraming"),
    (b"{x", "PlainFraming"),
    (b"dataset", "PlainFraming"),
    (b"Hello", "PlainFraming"),
    (b'0:"Hi"\n', "NDJSONFraming"),
    (b"0: Hi\n", "PlainFraming"),
    (event("a", {}), "EventStreamFraming"),
    (bytes(20), "PlainFraming"),
]


@pytest.mark.parametrize(("body", "expected"), SNIFFED)
def test_first_bytes_tell(body: bytes, expected: str) -> None:
    for pieces in ([body], [b"", body], each_byte(body)):
        framing = UndecidedFraming()
        framed(framing, pieces)
        assert chosen(framing) == expected


def chosen(framing: object) -> str:
    while (inner := getattr(framing, "chosen", None) or getattr(framing, "_lines", None)) is not None:
        framing = inner
    return type(framing).__name__


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", "TEXT/EVENT-STREAM; charset=utf-8"]
)
def test_a_wrong_or_vague_content_type_does_not_hide_a_document(content_type: str | None) -> None:
    assert framed(UndecidedFraming(content_type), [b'{"error":1}\n']) == [WireEvent(b'{"error":1}')]
    assert framed(UndecidedFraming(content_type), [b"data: 1\n\n"]) == [WireEvent(b"1")]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/event-stream", b"foo: 1\ndata: 2\n\n", [WireEvent(b"2")]),
        ("application/x-ndjson; charset=utf-8", b"[1]\n[2]\n", [WireEvent(b"[1]"), WireEvent(b"[2]")]),
        ("application/vnd.amazon.eventstream", event("a", {}), [WireEvent(b"{}", "a")]),
    ],
)
def test_a_named_content_type_is_believed(
    content_type: str, body: bytes, expected: list[WireEvent]
) -> None:
    assert framed(UndecidedFraming(content_type), each_byte(body)) == expected


def test_tokens_that_look_like_json_are_text() -> None:
    framing = UndecidedFraming(from_text=True)
    assert framed(framing, [b"{", b'"', b"a", b'"']) == [
        WireEvent(b"{"),
        WireEvent(b'"'),
        WireEvent(b"a"),
        WireEvent(b'"'),
    ]


def test_a_colon_as_first_token_is_text_once_the_next_comes() -> None:
    assert framed(UndecidedFraming(from_text=True), [b":", b" so"]) == [WireEvent(b":"), WireEvent(b" so")]


def test_a_comment_that_lost_its_line_end_is_a_comment() -> None:
    lines = [b": ping", b"", b"data: 1", b"", b"data: 2", b""]
    assert framed(UndecidedFraming(from_text=True), lines) == [
        KeepAlive(),
        WireEvent(b"1"),
        WireEvent(b"2"),
    ]


def test_undecided_bytes_are_bounded() -> None:
    framing = UndecidedFraming()
    for _ in range(MAX_UNDECIDED_BYTES // 1024 + 2):
        framing.feed(b" " * 1024)
    assert chosen(framing) == "PlainFraming"

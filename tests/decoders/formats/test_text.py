"""Plain text, and JSON of no known format."""

from __future__ import annotations

import types
from typing import Any

import pytest

from firsttoken.decoders import (
    ChunkDecoder,
    Delta,
    Done,
    Finish,
    KeepAlive,
    StreamError,
    Text,
    Undecoded,
    WireEvent,
)
from firsttoken.decoders.formats.text import LooseJSON, PlainText, neutral_deltas


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (WireEvent(b"a b"), [Text("a b")]),
        (WireEvent(b" "), [Text(" ")]),
        (WireEvent(b""), []),
        (WireEvent(b"\xff"), [Text("\ufffd")]),
        (WireEvent(b'"a\\n"'), [Text("a\n")]),
        (WireEvent(b'""'), []),
        (WireEvent(b'"'), [Text('"')]),
        (WireEvent(b'"a"b"'), [Text('"a"b"')]),
        (WireEvent(b"5"), [Text("5")]),
        (WireEvent(b"[DONE]"), [Done("[DONE]")]),
        (WireEvent(b"a", "token"), [Text("a")]),
        (WireEvent(b"", "end", dispatched=False), [Done("event:end")]),
        (WireEvent(b"x", "ping"), [KeepAlive()]),
        (WireEvent(b"x", "metadata"), []),
        (WireEvent(b"oh", "error"), [StreamError(message="oh")]),
        ("a", [Text("a")]),
        ("", []),
    ],
)
def test_text(payload: Any, expected: list[Delta]) -> None:
    assert list(PlainText().read(payload)) == expected


def test_what_is_no_text_is_one_loss() -> None:
    (loss,) = PlainText().read({"a": 1})
    assert isinstance(loss, Undecoded)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (WireEvent(b'{"token":"a"}'), [Text("a")]),
        ({"text": "a", "content": "b"}, [Text("a")]),
        ({"text": "", "done": False}, []),
        ({"text": "", "done": True}, [Done("done")]),
        ({"type": "end"}, [Done("end")]),
        (WireEvent(b'{"x":1}', "done"), [Done("done")]),
        (WireEvent(b"", "end", dispatched=False), [Done("event:end")]),
        (WireEvent(b"[DONE]"), [Done("[DONE]")]),
        (WireEvent(b"{}", "heartbeat"), [KeepAlive()]),
        ({"content": "a", "finish_reason": "stop"}, [Text("a"), Finish("stop")]),
        ({"error": "oh"}, [StreamError(message="oh")]),
        ({"x": 1}, [Text("")]),
        (types.SimpleNamespace(delta="a"), [Text("a")]),
        (object, [Text("")]),
        ({}, []),
        (WireEvent(b"[]"), []),
    ],
)
def test_loose_json(payload: Any, expected: list[Delta]) -> None:
    assert list(LooseJSON().read(payload)) == expected


def test_after_text_under_a_key_other_objects_are_no_content() -> None:
    reader = LooseJSON()
    assert [list(reader.read(payload)) for payload in ({"x": 1}, {"token": "a"}, {"x": 1})] == [
        [Text("")],
        [Text("a")],
        [],
    ]


def test_broken_json_is_one_loss() -> None:
    (loss,) = LooseJSON().read(WireEvent(b'{"token":'))
    assert isinstance(loss, Undecoded)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        (None, "", ()),
        (None, {}, ()),
        (None, " [DONE]", (Done("[DONE]"),)),
        ("ping", {"type": "ping"}, (KeepAlive(),)),
        (None, {"type": "keepalive"}, (KeepAlive(),)),
        (None, {"error": "m", "error_type": "t"}, (StreamError("t", None, "m"),)),
        ("error", {"message": "m"}, (StreamError(None, None, "m"),)),
        (None, {"a": 1}, None),
        (None, "text", None),
        (None, [1], None),
    ],
)
def test_what_means_the_same_everywhere(name: str | None, body: Any, expected: Any) -> None:
    assert neutral_deltas(name, body) == expected


def test_a_named_error_event_is_an_error_whatever_its_data_is() -> None:
    for data in (b'{"detail": "boom"}', b'"boom"', b"boom"):
        decoder = ChunkDecoder(content_type="text/event-stream")
        decoder.feed(b'data: {"delta": "hi"}\n\n')
        (error,) = decoder.feed(b"event: error\ndata: " + data + b"\n\n")
        assert isinstance(error, StreamError)
        assert error.message == "boom"

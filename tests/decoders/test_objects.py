"""Server-sent events that are objects already are read as the events they are."""

from __future__ import annotations

import types
from typing import Any

import pytest

from firsttoken.decoders import ChunkDecoder, Done, KeepAlive, Text, WireEvent
from firsttoken.decoders.objects import framed_of


class ServerSentEvent:
    def __init__(self, **fields: Any) -> None:
        self.__dict__ = {"data": None, "event": None, **fields}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ServerSentEvent(data="x", event="message"), WireEvent(b"x")),
        (ServerSentEvent(data="é", event="e"), WireEvent("é".encode(), "e")),
        (ServerSentEvent(data=b"x", event=types.SimpleNamespace(value="e")), WireEvent(b"x", "e")),
        (ServerSentEvent(data={"a": 1}), WireEvent(b'{"a":1}')),
        (ServerSentEvent(data=[1]), WireEvent(b"[1]")),
        (ServerSentEvent(data=types.SimpleNamespace(a=1)), WireEvent(b'{"a":1}')),
        (ServerSentEvent(raw_data="x"), WireEvent(b"x")),
        (ServerSentEvent(event="end"), WireEvent(b"", "end", dispatched=False)),
        (ServerSentEvent(comment="ping"), KeepAlive()),
        (ServerSentEvent(data="\ud83d"), WireEvent(b"?")),
    ],
)
def test_an_event_of_an_sse_library_is_a_wire_event(event: Any, expected: Any) -> None:
    assert framed_of(event) == (expected,)


def test_an_event_of_nothing_is_nothing() -> None:
    assert framed_of(ServerSentEvent()) == ()


@pytest.mark.parametrize(
    "chunk", [5, "x", object(), types.SimpleNamespace(data=1), types.SimpleNamespace(event="x")]
)
def test_other_objects_are_none(chunk: Any) -> None:
    assert framed_of(chunk) is None


def test_an_event_of_an_sdk_with_an_object_in_it_is_none() -> None:
    assert (
        framed_of(types.SimpleNamespace(event="thread.run.created", data=types.SimpleNamespace())) is None
    )


def test_data_that_is_no_json_is_counted() -> None:
    (told,) = framed_of(ServerSentEvent(data=object())) or ()
    assert "no JSON" in told.reason


def test_a_dict_is_an_event_if_it_has_nothing_else() -> None:
    decoder = ChunkDecoder()
    assert list(decoder.feed({"data": "a", "event": "token", "id": 1})) == [Text("a")]
    assert list(decoder.feed({"data": "b"})) == [Text("b")]
    assert list(ChunkDecoder().feed({"data": "a", "text": "b"})) == [Text("b")]


def test_fastapi_events() -> None:
    sse = pytest.importorskip("fastapi.sse")
    events = [
        sse.ServerSentEvent(data={"token": "a"}),
        sse.ServerSentEvent(comment="x"),
        sse.ServerSentEvent(event="end", raw_data=""),
    ]
    decoder = ChunkDecoder()
    assert [list(decoder.feed(event)) for event in events] == [
        [Text("a")],
        [KeepAlive()],
        [Done("event:end")],
    ]

"""Replicate: plain text in named events."""

from __future__ import annotations

import enum

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders.formats.replicate import Replicate, is_replicate
from tests.decoders.formats.hearing import Heard, hear


def heard(*events: tuple[str, str]) -> Heard:
    return hear(Replicate(), [WireEvent(data.encode(), name) for name, data in events])


def test_data_is_text_and_never_json() -> None:
    told = heard(("output", '{"a": '), ("output", "1}"), ("output", "\n\n[DONE]"), ("done", "{}"))
    assert told.text == '{"a": 1}\n\n[DONE]'
    assert told.done == ["event:done"]
    assert (told.finish, told.lost) == ({}, 0)


def test_an_empty_output_is_no_token() -> None:
    assert not Replicate().read(WireEvent(b"", "output"))


@pytest.mark.parametrize("reason", ["canceled", "error"])
def test_done_tells_why_it_came_early(reason: str) -> None:
    assert heard(("done", f'{{"reason": "{reason}"}}')).finish == {0: reason}


def test_logs_are_no_output() -> None:
    assert heard(("logs", "loading weights")).text == ""


def test_an_error_in_words_or_as_json() -> None:
    assert heard(("error", "CUDA out of memory")).errors == [(None, None, "CUDA out of memory")]
    assert heard(("error", '{"detail": "gone"}')).errors == [(None, None, "gone")]


def test_bad_utf8_does_not_lose_the_rest() -> None:
    assert hear(Replicate(), [WireEvent(b"a\xffb", "output")]).text == "a\ufffdb"


def test_objects_with_an_event_and_data_are_those_of_the_sdk() -> None:
    class Kind(enum.Enum):
        OUTPUT = "output"
        DONE = "done"

    class Event:
        def __init__(self, event: Kind, data: str) -> None:
            self.event = event
            self.data = data

    told = hear(Replicate(), [Event(Kind.OUTPUT, "hi"), Event(Kind.DONE, "{}")])
    assert (told.text, told.done) == ("hi", ["event:done"])
    assert is_replicate(None, Event(Kind.OUTPUT, "hi"))


def test_shape() -> None:
    assert is_replicate("output", None)
    assert not is_replicate("message", None)
    assert not is_replicate(None, {"output": "x"})


def test_what_is_no_event_is_lost_and_counted() -> None:
    assert hear(Replicate(), [{"event": "output"}, 7]).lost == 2

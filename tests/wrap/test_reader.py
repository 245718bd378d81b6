"""Marks read: finite at the end, in turns before it, by whichever decoder the response asks for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from firsttoken._record.record import Detail, StreamRecord
from firsttoken._think.tally import Tally
from firsttoken._wrap.reader import CHUNKS_PER_TURN, LONGEST_BYTES, Reader
from firsttoken.decoders import Delta, Text


class Heard:
    """A decoder that notes what it is fed."""

    has_done = has_finish = False
    provider = None

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def feed(self, chunk: Any) -> list[Delta]:
        self.chunks.append(chunk)
        return [Text("a")]

    def flush(self) -> list[Delta]:
        return []


class Scene:
    """A record with some chunks in it, and its reader."""

    def __init__(self, *chunks: Any) -> None:
        self.record = StreamRecord(lambda _: None, ContextVar("context"))
        self.record.begin_pulling()
        self.record.detail = Detail.ARRIVALS
        self.heard = Heard()
        self.tally = Tally(self.record, 1_000_000_000)
        self.reader = Reader(self.record, self.tally, lambda: self.heard, None)
        self.bring(*chunks)

    def bring(self, *chunks: Any) -> None:
        for chunk in chunks:
            self.record.arrived(chunk)


@pytest.mark.parametrize("ended", [True, False])
def test_what_is_there_is_read(ended: bool) -> None:
    scene = Scene("a", "b", "c")
    assert scene.reader.read(lambda: None, ended=ended)
    assert scene.heard.chunks == ["a", "b", "c"]
    assert scene.tally.content_count == 3


def test_reading_to_the_end_is_finite_though_more_comes_all_the_time() -> None:
    scene = Scene("a", "b")
    assert scene.reader.read(lambda: scene.bring("more"), ended=True)
    assert scene.heard.chunks == ["a", "b"]


def test_a_stream_that_outpaces_us_gives_way_after_its_turn() -> None:
    scene = Scene("a")
    assert not scene.reader.read(lambda: scene.bring("more"), ended=False)
    assert CHUNKS_PER_TURN <= len(scene.heard.chunks) < 2 * CHUNKS_PER_TURN


def test_bytes_are_decoded_in_pieces_and_are_one_chunk_all_the_same() -> None:
    body = bytes(2 * LONGEST_BYTES + 1)
    scene = Scene(body)
    scene.reader.read(lambda: None, ended=True)
    assert b"".join(scene.heard.chunks) == body
    assert [len(piece) for piece in scene.heard.chunks] == [LONGEST_BYTES, LONGEST_BYTES, 1]
    assert len(scene.tally.arrivals) == 1


def test_the_decoder_may_be_chosen_until_the_first_chunk() -> None:
    scene, other = Scene("a"), Heard()
    scene.reader.make_decoder = lambda: other
    scene.reader.read(lambda: None, ended=True)
    assert (scene.heard.chunks, other.chunks) == ([], ["a"])

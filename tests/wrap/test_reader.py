"""Marks read: finite at the end, in turns before it, by whichever decoder the response asks for."""

from __future__ import annotations

from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


#: What the decoder below knows to be the last chunk again with another text.
ALIKE = b"alike"


class Skims(Heard):
    """A decoder that need not be fed everything."""

    def skim(self, chunks: list[Any], begin: int) -> int:
        end = begin
        while end < len(chunks) and chunks[end] is ALIKE:
            end += 1
        return end


class Unlike:
    """A chunk that must not be compared with anything."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]


class Scene:
    """A record with some chunks in it, and its reader."""

    def __init__(self, *chunks: Any) -> None:
        self.record = StreamRecord(lambda _: None, ContextVar("context"))
        self.record.begin_pulling()
        self.record.detail = Detail.ARRIVALS
        self.heard = Skims()
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


@given(
    kinds=st.lists(st.sampled_from(["alike", "bytes", "long", "dict", "array"]), max_size=40),
    runs=st.integers(1, 400),
    detail=st.sampled_from([Detail.ARRIVALS, Detail.FULL]),
    at=st.lists(st.integers(0, 1_000), max_size=6),
    ended=st.booleans(),
)
def test_whatever_is_alike_and_wherever_marks_are_cut_every_chunk_counts_once(
    kinds: list[str], runs: int, detail: Detail, at: list[int], ended: bool
) -> None:
    others = {"bytes": b"x", "long": b"x" * 99, "dict": {"a": 1}, "array": Unlike()}
    chunks: list[Any] = ["first"]
    for kind in kinds:
        chunks += [ALIKE] * runs if kind == "alike" else [others[kind]]
    scene = Scene()
    scene.record.detail = detail
    marks: list[Any] = []
    for index, chunk in enumerate(chunks):
        marks += [1_000 * index, chunk, 1_000 * index + 1][: detail + 1]
    bounds = [0, *sorted(min(place, len(marks)) for place in at), len(marks)]
    for begin, end in pairwise(bounds):
        scene.record.marks += marks[begin:end]
        while not scene.reader.read(lambda: None, ended=False):
            pass
    scene.reader.read(lambda: None, ended=ended)
    heard = [chunk for chunk in chunks if chunk is not ALIKE]
    assert len(scene.heard.chunks) == len(heard)
    assert all(one is other for one, other in zip(scene.heard.chunks, heard, strict=True))
    tally = scene.tally
    assert list(tally.arrivals) == [1_000 * index for index in range(len(chunks))]
    assert (tally.content_count, tally.gaps.count) == (len(chunks), len(chunks) - 1)
    assert tally.last_content == len(chunks) - 1


def test_many_marks_are_read_in_small_pieces() -> None:
    scene = Scene("first", *[ALIKE] * 20_000)
    breaths: list[int] = []
    scene.reader.read(lambda: breaths.append(scene.tally.content_count), ended=True)
    assert scene.tally.content_count == 20_001
    assert max(after - before for before, after in pairwise(breaths)) <= 400


def test_the_decoder_may_be_chosen_until_the_first_chunk() -> None:
    scene, other = Scene("a"), Heard()
    scene.reader.make_decoder = lambda: other
    scene.reader.read(lambda: None, ended=True)
    assert (scene.heard.chunks, other.chunks) == ([], ["a"])

"""What only later chunks tell how to read was said by the chunk that brought it, whenever it is known."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._record.record import Detail, StreamRecord
from firsttoken._think.tally import Tally
from firsttoken._wrap.reader import Reader
from firsttoken.decoders import decoder_for

SECOND_NS = 1_000_000_000


def tally_of(chunks: list[Any], **asked: Any) -> Tally:
    """Return the account of chunks that came a second apart, each looked at before the next came."""
    record = StreamRecord(lambda _: None, ContextVar("context"))
    record.begin_pulling()
    record.detail = Detail.ARRIVALS
    tally = Tally(record, SECOND_NS, capture=True)
    reader = Reader(record, tally, lambda: decoder_for(**asked), None)
    for index, chunk in enumerate(chunks):
        record.marks += [index * SECOND_NS, chunk]
        reader.read(lambda: None, ended=False)
    record.end(None)
    reader.read(lambda: None, ended=True)
    reader.flush()
    return tally


@pytest.mark.parametrize(
    "chunks",
    [
        [{"plan": {}}, {"search": 1}, {"read": 2}, {"write": 3}],
        [{"plan": {}}, {"search": 1}],
        [{"txt": "a"}] * 9,
        [{"message": {"content": "a"}}] * 9,
        [[1], [2]],
        ["event", " by", " event"],
        [":", " so"],
        ["{", "no"],
        ['{"a', '": 1', "} no"],
        [b"event", b" by", b" event"],
        [b'data: {"txt":"a"}\n\n'] * 5,
    ],
    ids=repr,
)
def test_every_chunk_of_a_stream_of_no_known_format_says_what_it_brought(chunks: list[Any]) -> None:
    tally = tally_of(chunks)
    assert (tally.first_token, tally.last_content) == (0, len(chunks) - 1)
    assert tally.content_count == len(chunks)
    assert tally.gaps.longest_ns == SECOND_NS


def test_captured_text_stands_at_the_chunk_that_brought_it() -> None:
    assert tally_of(["{", '"name"', ": ", '"x"', "}"]).captured == ["{", "name", ": ", "x", "}"]


def test_what_is_known_at_once_is_not_put_off_by_what_is_held() -> None:
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": "a"}}],
    }
    tally = tally_of([{"unknown": 1}, chunk, chunk])
    assert (tally.last_content, tally.identity.id) == (2, "1")


def test_an_unknown_event_behind_a_comment_in_one_chunk_counts_for_that_chunk() -> None:
    tally = tally_of([b': ping\n\ndata: {"txt":"a"}\n\n', *[b'data: {"txt":"a"}\n\n'] * 4])
    assert tally.first_token == 0


@given(
    st.lists(
        st.sampled_from(["{", "}", '"a"', ":", " ", "\n", "event", "data", "id: ", "[", "x"]), min_size=1
    ),
    st.sampled_from([str, str.encode]),
)
def test_whatever_is_held_nothing_is_told_for_a_chunk_that_never_came(pieces: list[str], kind: Any) -> None:
    tally = tally_of([kind(piece) for piece in pieces])
    assert tally.last_content is None or tally.last_content < len(pieces)
    assert tally.gaps.count == max(0, tally.content_count - 1)
    assert tally.undecoded_count <= len(pieces)

"""Broken input raises nothing, holds no more than the stated bounds, and is counted."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.decoders import ChunkDecoder, Done, Text, Undecoded, formats
from firsttoken.decoders.eventstream import MAX_FRAME_BYTES
from firsttoken.decoders.sse import MAX_EVENT_BYTES
from firsttoken.decoders.table import row_named
from tests.corpus.write import STREAMS
from tests.decoders.corpus import cases
from tests.decoders.mutation import mutated, pieces_of, survive

BODIES = [case.body for case in cases()]
CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'


def decoder_of(rng: random.Random) -> ChunkDecoder:
    """Return a decoder that finds out by itself, or one that was told, most often wrongly."""
    if rng.random() < 0.7:
        return ChunkDecoder()
    return ChunkDecoder(row_named(rng.choice(formats())).factory())


def run(inputs: int, seed: int) -> int:
    rng = random.Random(seed)
    lost = 0
    for _ in range(inputs):
        body = rng.choice(BODIES)
        start = rng.randint(0, max(0, len(body) - 1500)) if rng.random() < 0.5 else 0
        broken = mutated(body[start : start + 1500], rng.choice(BODIES), rng)
        lost += survive(decoder_of(rng), pieces_of(broken, rng)) > 0
    return lost


def test_mutated_streams_raise_nothing() -> None:
    assert run(4000, seed=1) > 400


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
def test_a_million_mutated_streams_raise_nothing(seed: int) -> None:
    assert run(100_000, seed=1000 + seed) > 10_000


@given(st.binary(max_size=300), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_raise_nothing(data: bytes, cut: int) -> None:
    survive(ChunkDecoder(), [data[:cut], data[cut:]])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "usage",
                    "type",
                    "index",
                    "error",
                    "message",
                    "parts",
                    "text",
                    "data",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(formats()), st.lists(JSON_VALUES, max_size=4))
@settings(max_examples=600, deadline=None)
def test_any_values_as_chunks_raise_nothing(name: str, chunks: list[Any]) -> None:
    for decoder in (ChunkDecoder(), ChunkDecoder(row_named(name).factory())):
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.flush()


class Hostile:
    """An object that raises whenever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", [None, *formats()])
def test_a_hostile_object_raises_nothing(name: str | None) -> None:
    decoder = ChunkDecoder(row_named(name).factory() if name else None)
    decoder.feed(Hostile())
    decoder.feed({"choices": Hostile(), "type": Hostile(), "message": Hostile()})
    decoder.flush()


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.file)
def test_a_stream_cut_off_anywhere_tells_a_prefix_or_a_loss(stream: Any) -> None:
    whole = texts_of([stream.body])
    for end in range(0, len(stream.body), 7):
        got = texts_of([stream.body[:end]])
        assert whole.startswith(got) or end < 32  # too little to know what it is


def texts_of(pieces: list[bytes]) -> str:
    decoder = ChunkDecoder()
    deltas = [delta for piece in pieces for delta in decoder.feed(piece)] + list(decoder.flush())
    return "".join(delta.text for delta in deltas if isinstance(delta, Text) and delta.choice == 0)


BOMBS = {
    "deep arrays": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep in a known key": b'{"choices":[{"delta":{"content":' + b"[" * 100_000,
    "huge number": b'{"choices":[{"index":' + b"9" * 1_000_000 + b"}]}",
    "huge exponent": b'{"usage":{"prompt_tokens":1e999999999}}',
    "many keys": b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b"}",
    "huge string": b'{"id":"' + b"x" * 4_000_000 + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("name", [None, *formats()])
def test_a_json_bomb_costs_one_event(name: str | None, bomb: bytes) -> None:
    decoder = ChunkDecoder(row_named(name).factory() if name else None)
    survive(decoder, [CHAT, b"data: " + bomb + b"\n\n", CHAT])
    assert decoder.wire_events == 3


def test_what_follows_a_bomb_is_read() -> None:
    decoder = ChunkDecoder()
    deltas = [
        *decoder.feed(CHAT),
        *decoder.feed(b"data: " + BOMBS["deep arrays"] + b"\n\n"),
        *decoder.feed(CHAT),
    ]
    assert [type(delta) for delta in deltas] == [Text, Undecoded, Text]


@pytest.mark.parametrize(
    "opening", [b"data: ", b": ", b"event: ", b"{", b"[{", b"0:", b"plain", b"\0\0\0\0"]
)
def test_a_line_that_never_ends_is_bounded(opening: bytes) -> None:
    decoder = ChunkDecoder()
    decoder.feed(opening)

    def endless() -> Iterator[bytes]:
        for number in range(600):
            yield bytes([97 + number % 26]) * 65536

    tracemalloc.start()
    for chunk in endless():
        decoder.feed(chunk)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < MAX_EVENT_BYTES * 1.2


def test_after_an_endless_line_the_stream_goes_on() -> None:
    decoder = ChunkDecoder()
    decoder.feed(CHAT)
    for _ in range(MAX_EVENT_BYTES // 65536 + 2):
        assert not decoder.feed(b"data: " + b"y" * 65536)
    deltas = decoder.feed(b"\n\n" + CHAT)
    assert [type(delta) for delta in deltas] == [Undecoded, Text]


@pytest.mark.parametrize("cut", [1000, 65536, 1 << 30])
def test_an_event_over_the_bound_is_lost_however_it_is_cut(cut: int) -> None:
    long_event = b"data: " + b"y" * (1 << 20)
    body = CHAT + b"\n".join([long_event] * 9) + b"\n\n" + CHAT
    decoder = ChunkDecoder()
    deltas = [delta for at in range(0, len(body), cut) for delta in decoder.feed(body[at : at + cut])]
    assert sum(isinstance(delta, Undecoded) for delta in deltas) == 1


def frame_claiming(total: int) -> bytes:
    start = struct.pack(">II", total, 0)
    return start + struct.pack(">I", zlib.crc32(start))


@pytest.mark.parametrize("total", [2**31, MAX_FRAME_BYTES + 1, 2**32 - 1, 15, 0])
def test_a_frame_that_claims_too_much_is_passed_over(total: int) -> None:
    good = next(stream.body for stream in STREAMS if stream.file == "bedrock-converse-text.eventstream")
    decoder = ChunkDecoder(content_type="application/vnd.amazon.eventstream")
    tracemalloc.start()
    deltas = list(decoder.feed(frame_claiming(total)))
    for _ in range(400):
        deltas += decoder.feed(b"\x00payload" * 8192)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    deltas += decoder.feed(good)
    assert held < 100_000
    assert sum(isinstance(delta, Undecoded) for delta in deltas) == 1
    assert any(isinstance(delta, Done) for delta in deltas)


def test_bytes_that_are_not_utf8_cost_their_character_only() -> None:
    decoder = ChunkDecoder()
    (text,) = decoder.feed(CHAT.replace(b'"x"', b'"a\xffb"'))
    assert text == Text("a\ufffdb")


def test_a_lone_surrogate_costs_its_character_only() -> None:
    decoder = ChunkDecoder()
    (text,) = decoder.feed(CHAT.replace(b'"x"', b'"a\\ud83d"'))
    assert text == Text("a\ufffd")


def test_a_field_of_another_type_does_not_cost_the_event() -> None:
    decoder = ChunkDecoder()
    (text,) = decoder.feed(CHAT.replace(b'"index":0', b'"index":"0","finish_reason":{}'))
    assert text == Text("x")

"""Content encodings are undone as the bytes come, and bombs are defused."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.decoders import ChunkDecoder, Undecoded
from firsttoken.decoders.content_encoding import BOMB_BYTES, PIECE_BYTES, inflater_for
from firsttoken.errors import DecodeError
from tests.decoders.cutting import CUTS, cut

BODY = b"".join(
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n'
    % number
    for number in range(300)
)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def brotli(body: bytes) -> bytes:
    return pytest.importorskip("brotli").compress(body)


def zstd(body: bytes) -> bytes:
    for package in ("compression.zstd", "backports.zstd", "pyzstd"):
        try:
            return importlib.import_module(package).compress(body)
        except ImportError:
            continue
    return pytest.importorskip("zstandard").ZstdCompressor().compress(body)


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("gzip", lambda body: gzip.compress(body[:5000]) + gzip.compress(body[5000:]) + b"\0\0\0"),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli),
    ("zstd", zstd),
    ("identity, gzip", gzip.compress),
    ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
]


def inflated(name: str, pieces: list[bytes]) -> bytes:
    inflater = inflater_for(name)
    assert inflater is not None
    return b"".join(part for piece in pieces for part in inflater.feed(piece))


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_any_cut_inflates_to_the_body(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(BODY)

    @given(CUTS)
    @settings(max_examples=40, deadline=None)
    def check(places: list[int]) -> None:
        assert inflated(name, cut(encoded, places)) == BODY

    check()
    assert inflated(name, [encoded[at : at + 1] for at in range(len(encoded))]) == BODY


def test_what_was_flushed_comes_at_once() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    assert inflated("gzip", [first]) == b"data: 1\n\n"


@pytest.mark.parametrize("name", [None, "", "identity", " Identity "])
def test_nothing_to_undo_is_no_inflater(name: str | None) -> None:
    assert inflater_for(name) is None


def test_an_encoding_nobody_knows_is_one_loss() -> None:
    decoder = ChunkDecoder(content_encoding="rot13")
    deltas = [delta for _ in range(3) for delta in decoder.feed(b"qngn")]
    assert [type(delta) for delta in deltas] == [Undecoded]
    assert "rot13" in deltas[0].reason


def test_a_package_that_is_not_installed_is_one_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("firsttoken.decoders.content_encoding.import_module", missing)
    decoder = ChunkDecoder(content_encoding="br")
    assert [type(delta) for delta in decoder.feed(b"abc")] == [Undecoded]
    assert decoder.feed(b"abc") == []


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_broken_bytes_are_told_once(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(BODY)
    broken = encoded[: len(encoded) // 2] + b"\xff\x00\xaa\x55" * 50 + encoded
    decoder = ChunkDecoder(content_encoding=name)
    deltas = [delta for at in range(0, len(broken), 50) for delta in decoder.feed(broken[at : at + 50])]
    losses = [
        delta for delta in deltas if isinstance(delta, Undecoded) and "content encoding" in delta.reason
    ]
    assert len(losses) == 1
    assert deltas[-1] == losses[0]


def test_a_large_body_comes_in_pieces() -> None:
    inflater = inflater_for("gzip")
    assert inflater is not None
    sizes = [len(part) for part in inflater.feed(gzip.compress(b"x" * 5_000_000))]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= PIECE_BYTES


def test_a_bomb_raises_long_before_its_end() -> None:
    bomb = gzip.compress(bytes(4 * BOMB_BYTES))
    inflater = inflater_for("gzip")
    assert inflater is not None
    sizes: list[int] = []
    with pytest.raises(DecodeError, match="inflates more than"):
        sizes.extend(len(part) for part in inflater.feed(bomb))
    assert sum(sizes) <= BOMB_BYTES * 1.01


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_any_bytes_raise_only_a_decode_error(data: bytes, name: str) -> None:
    inflater = inflater_for(name)
    assert inflater is not None
    try:
        list(inflater.feed(data))
    except DecodeError:
        assert list(inflater.feed(data)) == []

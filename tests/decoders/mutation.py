"""Broken streams: what a corpus body becomes when bytes are lost, changed, doubled or invented."""

from __future__ import annotations

import random
from collections.abc import Callable

from firsttoken.decoders import (
    ChunkDecoder,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    ToolPlan,
    Undecoded,
    Usage,
)

_DELTAS = (
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    ToolPlan,
    Undecoded,
    Usage,
)
_MEAN = (
    b"\xff\xfe",
    b"\xed\xa0\xbd",
    b"\x00" * 12,
    b"\r",
    b"\n\n",
    b"data:",
    b":",
    b"[DONE]",
    b"\\ud83d",
    b'"',
    b"{" * 50,
    b"[" * 3000,
    b"9" * 5000,
    b"-1e999",
    b"null",
    b"NaN",
    b"\xef\xbb\xbf",
    b"\xff\xff\xff\xff",
)


def mutated(body: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return `body` after one to four accidents."""
    for _ in range(rng.randint(1, 4)):
        body = rng.choice(_ACCIDENTS)(body, other, rng)
    return body


def pieces_of(body: bytes, rng: random.Random) -> list[bytes]:
    """Return `body` cut at up to three places."""
    cuts = sorted(rng.randint(0, len(body)) for _ in range(rng.randint(0, 3)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def survive(decoder: ChunkDecoder, pieces: list[bytes]) -> int:
    """Feed a decoder; return the number of losses it told. Whatever is no delta fails the test."""
    lost = 0
    for deltas in (*map(decoder.feed, pieces), decoder.flush()):
        for delta in deltas:
            assert isinstance(delta, _DELTAS), delta
            if isinstance(delta, Undecoded):
                lost += 1
                assert "cannot read" not in delta.reason, "a format raised"
            if isinstance(delta, Text):
                delta.text.encode()
    return lost


def _truncate(body: bytes, other: bytes, rng: random.Random) -> bytes:
    return body[: rng.randint(0, len(body))]


def _behead(body: bytes, other: bytes, rng: random.Random) -> bytes:
    return body[rng.randint(0, len(body)) :]


def _flip(body: bytes, other: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _delete(body: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randint(0, len(body))
    return body[:start] + body[start + rng.randint(1, 40) :]


def _double(body: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randint(0, len(body))
    return body[:start] + body[start : start + rng.randint(1, 200)] + body[start:]


def _insert(body: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(body))
    return (
        body[:at]
        + (rng.choice(_MEAN) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 20)))
        + body[at:]
    )


def _splice(body: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randint(0, len(other))
    return body[: rng.randint(0, len(body))] + other[start : start + rng.randint(0, 500)]


def _retype(body: bytes, other: bytes, rng: random.Random) -> bytes:
    """Put a value of another type where one of a key is."""
    at = body.find(b'":', rng.randint(0, len(body)))
    if at < 0:
        return body
    values = (b"null,", b"[],", b"{},", b"true,", b"1.5,", b'"x",', b"[[]],", b'{"a":1},')
    return body[: at + 2] + rng.choice(values) + b'"_":' + body[at + 2 :]


_ACCIDENTS: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _truncate,
    _behead,
    _flip,
    _delete,
    _double,
    _insert,
    _splice,
    _retype,
    _retype,
)

"""All chunk arrivals of a stream in one short string. Floor 2 (think); runs on any background thread.

The first arrival counts from the issue of the request, every other from the one before it, in whole
microseconds, each as an unsigned LEB128 number; the bytes as base64. About three characters a chunk.
The error never adds up: each offset is rounded on its own, and the differences are taken after that.

Source: https://en.wikipedia.org/wiki/LEB128
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from firsttoken.errors import DecodeError

#: A timeline stops growing here (about 65,000 to 190,000 chunks); the span's chunk count tells the rest.
MAX_TIMELINE_BYTES: Final = 196_608
#: So many chunks are encoded in one go, in some 10 µs.
_AT_ONCE: Final = 64
_MAX_SHIFT: Final = 63


def encode_timeline(arrivals_ns: Iterable[int], issued_ns: int, breathe: Callable[[], None]) -> str:
    """Return the timeline of a stream.

    arrivals_ns: of all chunks, ascending.
    issued_ns: when the request was issued, on the same clock.
    breathe: called now and then; may give the GIL away.
    """
    packed = bytearray()
    append = packed.append
    last_us = 0
    arrivals = iter(arrivals_ns)
    while len(packed) < MAX_TIMELINE_BYTES:
        some = list(islice(arrivals, _AT_ONCE))
        if not some:
            break
        for arrival_ns in some:
            delta = (arrival_ns - issued_ns) // 1000 - last_us
            if delta < 0:
                delta = 0
            last_us += delta
            while delta > 0x7F:
                append(delta & 0x7F | 0x80)
                delta >>= 7
            append(delta)
        breathe()
    return b64encode(packed).decode("ascii")


def decode_timeline(timeline: str) -> list[int]:
    """Return the arrivals (microseconds after the request was issued) in a `firsttoken.timeline`.

    Raises: DecodeError: if `timeline` was not written by this library.
    """
    try:
        packed = b64decode(timeline, validate=True)
    except ValueError as error:
        raise DecodeError("a timeline is base64 text") from error
    offsets: list[int] = []
    offset = delta = shift = 0
    for byte in packed:
        delta |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift > _MAX_SHIFT:
                raise DecodeError("a timeline has no number over 64 bits")
            continue
        offset += delta
        offsets.append(offset)
        delta = shift = 0
    if shift:
        raise DecodeError("a timeline ends with a whole number")
    return offsets

"""All chunk arrivals of a stream in one short string. Floor 2 (think); runs on any background thread.

The first arrival counts from the issue of the request, every other from the one before it, in whole
microseconds, each as an unsigned LEB128 number; the bytes as base64. About three characters a chunk.
The error never adds up: each offset is rounded on its own, and the differences are taken after that.

Source: https://en.wikipedia.org/wiki/LEB128
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final

from firsttoken.errors import DecodeError

#: A timeline stops growing here (about 65,000 to 190,000 chunks); the span's chunk count tells the rest.
MAX_TIMELINE_BYTES: Final = 196_608


class TimelineWriter:
    """Packs arrivals as they come."""

    __slots__ = ("_bytes", "_last_us")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._last_us = 0

    def add(self, offset_ns: int) -> None:
        """Append an arrival, as its offset from the issue of the request."""
        packed = self._bytes
        if len(packed) >= MAX_TIMELINE_BYTES:
            return
        offset_us = max(offset_ns, 0) // 1000
        delta = max(offset_us - self._last_us, 0)
        self._last_us += delta
        while delta > 0x7F:
            packed.append(delta & 0x7F | 0x80)
            delta >>= 7
        packed.append(delta)

    def __str__(self) -> str:
        return b64encode(self._bytes).decode("ascii")


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
            continue
        offset += delta
        offsets.append(offset)
        delta = shift = 0
    if shift:
        raise DecodeError("a timeline ends with a whole number")
    return offsets

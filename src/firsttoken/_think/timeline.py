"""All chunk arrivals of a stream in one short string. Floor 2 (think); runs on any background thread.

The first arrival counts from the issue of the request, every other from the one before it, in whole
microseconds, each as an unsigned LEB128 number; the bytes as base64. About three characters a chunk.
The error never adds up: each offset is rounded on its own, and the differences are taken after that.

Source: https://en.wikipedia.org/wiki/LEB128
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Final

from firsttoken._think.lanes import BYTE_ORDER
from firsttoken.errors import DecodeError

#: A timeline stops growing here (about 65,000 to 190,000 chunks); the span's chunk count tells the rest.
MAX_TIMELINE_BYTES: Final = 196_608
#: So many chunks are encoded in one go, in some 5 µs.
_AT_ONCE: Final = 64
_MAX_SHIFT: Final = 63


def encode_timeline(arrivals_ns: Sequence[int], issued_ns: int, breathe: Callable[[], None]) -> str:
    """Return the timeline of a stream.

    arrivals_ns: of all chunks, ascending.
    issued_ns: when the request was issued, on the same clock.
    breathe: called now and then; may give the GIL away.
    """
    packed = bytearray()
    last_us = 0
    for begin in range(0, len(arrivals_ns), _AT_ONCE):
        some = array("q", arrivals_ns[begin : begin + _AT_ONCE])
        together = _together(some, issued_ns + 1000 * last_us)
        packed += together or _one_by_one(some, issued_ns, last_us)
        last_us = max(last_us, (some[-1] - issued_ns) // 1000)
        breathe()
        if len(packed) >= MAX_TIMELINE_BYTES:
            break
    return b64encode(packed).decode("ascii")


def _one_by_one(arrivals_ns: Sequence[int], issued_ns: int, last_us: int) -> bytearray:
    packed = bytearray()
    for arrival_ns in arrivals_ns:
        delta = max(0, (arrival_ns - issued_ns) // 1000 - last_us)
        last_us += delta
        while delta > 0x7F:
            packed.append(delta & 0x7F | 0x80)
            delta >>= 7
        packed.append(delta)
    return packed


def _in_each_lane(value: int) -> int:
    return int.from_bytes(value.to_bytes(8, "little") * _AT_ONCE, "little")


_ONE: Final = _in_each_lane(1)
_26_BITS: Final = _in_each_lane(2**26 - 1)
_31_BITS: Final = _in_each_lane(2**31 - 1)
_34_BITS: Final = _in_each_lane(2**34 - 1)
_ALL_BITS: Final = _in_each_lane(2**64 - 1)
#: To multiply by this and to drop 38 bits is to divide by 125, exactly so for all numbers of 31 bits.
_BY_125: Final = 2**38 // 125 + 1
_SEVENS: Final = tuple(_in_each_lane(0x7F << shift) for shift in (0, 8, 16, 24))
#: Added to a delta of at most 31 bits, these carry into bit 31 if it has more than 0, 7, 14, 21 bits.
_OVER: Final = tuple(_in_each_lane(2**31 - 2**bits) for bits in (0, 7, 14, 21))
_BIT_31: Final = _in_each_lane(2**31)


def _together(arrivals_ns: array[int], since_ns: int) -> bytes | None:
    """Return what `_one_by_one` does, in a third of the time; None where that does not go.

    since_ns: the whole microsecond that the first delta counts from.

    The arrivals are one big integer with 64 bits for each, a lane, and every step takes all lanes at once.
    It goes for lanes of 34 bits (17 s in all) with none below the one before it, and without a delta of 0:
    in the end each delta has left some of its lane's bytes at 0, and all of these are taken out.
    """
    if since_ns < 0 or BYTE_ORDER != "little":
        return None
    # Lanes that are left over are no time after the last one.
    filled = arrivals_ns + arrivals_ns[-1:] * (_AT_ONCE - len(arrivals_ns))
    ns = int.from_bytes(filled, "little") - since_ns * _ONE
    if ns & ~_34_BITS:
        return None
    us = (ns >> 3 & _31_BITS) * _BY_125 >> 38 & _26_BITS
    delta = us - (us << 64 & _ALL_BITS)
    if delta & ~_26_BITS or (delta + _OVER[0] & _BIT_31).bit_count() < len(arrivals_ns):
        return None
    numbers = (
        (delta & _SEVENS[0] | (delta + _OVER[1] & _BIT_31) >> 24)
        | (delta << 1 & _SEVENS[1] | (delta + _OVER[2] & _BIT_31) >> 16)
        | (delta << 2 & _SEVENS[2] | (delta + _OVER[3] & _BIT_31) >> 8)
        | (delta << 3 & _SEVENS[3])
    )
    return numbers.to_bytes(8 * _AT_ONCE, "little").translate(None, b"\0")


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

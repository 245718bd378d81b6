"""Chunk events as OTLP protobuf bytes, straight from flat arrays. Floor 3 (tell), pure; export thread.

All uncoalesced events of a stream look alike: the same bytes, but for a time, a sequence and a gap. So the
whole piece is one template repeated, and each varying byte is a column that one strided slice fills in.
Subtracting two columns of times is one subtraction of two very long integers.

Cost: about 120 ns per event, 60 µs between breaths, tests/bench/bench_export.py.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from operator import sub
from struct import pack
from typing import Final, NamedTuple

from firsttoken._clock import NS_PER_S, to_s
from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.export._encode_values import field, key_value, text_field
from firsttoken.semconv import COALESCED, EVENT_CHUNK, GAP, SEQUENCE, TEXT

EVENT_TAG: Final = b"\x5a"
_ATTRIBUTE_TAG: Final = b"\x1a"
_NAME: Final = text_field(b"\x12", EVENT_CHUNK)
_PIECE: Final = 512
_NO_TIME: Final = bytes(8)
# Where in eight bytes the sign is.
_HIGHEST: Final = 7 if sys.byteorder == "little" else 0
_in_seconds: Final[Callable[[int], float]] = float(NS_PER_S).__rtruediv__


class _Template(NamedTuple):
    """One event with a gap, its numbers still zero, and where they go."""

    event: bytes
    time_at: int
    sequence_at: int
    gap_at: int


def _template(sequence_bytes: int) -> _Template:
    sequence = key_value(SEQUENCE, 0)
    padded = sequence[:-1] + bytes(sequence_bytes)
    grown = bytearray(padded)
    # The value's own length sits before the tag of the integer.
    grown[-sequence_bytes - 2] += sequence_bytes - 1
    attributes = field(_ATTRIBUTE_TAG, bytes(grown)) + field(_ATTRIBUTE_TAG, key_value(GAP, 0.0))
    event = field(EVENT_TAG, b"\x09" + _NO_TIME + _NAME + attributes)
    gap_at = len(event) - 8
    gap_field = len(field(_ATTRIBUTE_TAG, key_value(GAP, 0.0)))
    return _Template(event, 3, len(event) - gap_field - sequence_bytes, gap_at)


_SHORT: Final = _template(1)
_LONG: Final = _template(2)
_SHORT_END: Final = 1 << 7
_LONG_END: Final = 1 << 14
# The two varint bytes of every sequence below `_LONG_END`, as two columns.
_LOW_COLUMN: Final = bytes(number & 127 | 128 for number in range(_LONG_END))
_HIGH_COLUMN: Final = bytes(number >> 7 for number in range(_LONG_END))

#: No event without text takes more bytes than this in a request; the sequence and the count may grow.
EVENT_BYTES_MAX: Final = len(_LONG.event) + len(field(_ATTRIBUTE_TAG, key_value(COALESCED, 0))) + 16
_UNCOALESCED_BYTES_MAX: Final = len(_LONG.event) + 8


def encode_chunk_events(
    events: ChunkEvents, begin: int, end: int, breathe: Callable[[], None]
) -> Iterator[bytes | bytearray]:
    """Yield the events in [begin, end) as fields of a span, in pieces.

    breathe: called between pieces of at most 512 events; may give the GIL away.
    """
    while begin < end:
        piece_end = min(begin + _PIECE, end)
        columns_end = _columns_end(events, begin, piece_end)
        if columns_end > begin:
            yield _columns(events, begin, columns_end)
            begin = columns_end
        else:
            piece_end = min(begin + (1 if begin == 0 else _PIECE // 8), piece_end)
            yield b"".join([_row(events, index) for index in range(begin, piece_end)])
            begin = piece_end
        breathe()


def _columns_end(events: ChunkEvents, begin: int, end: int) -> int:
    """Return how far, from `begin`, the events are all alike; `begin` if not even one piece is."""
    if events.sequences is not None or events.counts is not None or events.texts is not None:
        return begin
    if events.gaps_ns is None:
        if begin == 0:
            return begin
    elif NO_GAP in events.gaps_ns[begin:end]:
        return begin
    if begin >= _LONG_END:
        return begin
    return min(end, _SHORT_END if begin < _SHORT_END else _LONG_END)


def _columns(events: ChunkEvents, begin: int, end: int) -> bytearray:
    template = _SHORT if end <= _SHORT_END else _LONG
    size = len(template.event)
    times = events.times_ns[begin:end]
    gaps = (
        events.gaps_ns[begin:end]
        if events.gaps_ns is not None
        else _differences(events.times_ns, begin, end)
    )
    time_bytes = _little_endian(times)
    gap_bytes = pack(f"<{len(times)}d", *map(_in_seconds, gaps))
    out = bytearray(template.event) * len(times)
    for byte in range(8):
        out[template.time_at + byte :: size] = time_bytes[byte::8]
        out[template.gap_at + byte :: size] = gap_bytes[byte::8]
    if template is _SHORT:
        out[template.sequence_at :: size] = bytes(range(begin, end))
    else:
        out[template.sequence_at :: size] = _LOW_COLUMN[begin:end]
        out[template.sequence_at + 1 :: size] = _HIGH_COLUMN[begin:end]
    return out


def _differences(times: array[int], begin: int, end: int) -> array[int]:
    """Return how long after the event before it each one came."""
    later, earlier = times[begin:end], times[begin - 1 : end - 1]
    size = 8 * len(later)
    # One subtraction for all: no lane borrows from the next as long as time goes forward.
    lanes = int.from_bytes(later.tobytes(), sys.byteorder) - int.from_bytes(
        earlier.tobytes(), sys.byteorder
    )
    if lanes >= 0:
        packed = lanes.to_bytes(size, sys.byteorder)
        if packed[_HIGHEST::8].count(0) == len(later):
            return array("q", packed)
    return array("q", map(sub, later, earlier))


def _little_endian(times: array[int]) -> bytes:
    if sys.byteorder == "big":
        times = times[:]
        times.byteswap()
    return times.tobytes()


def _row(events: ChunkEvents, index: int) -> bytes:
    """Encode one event of any shape."""
    time_ns, sequence, gap_ns, count, text = row(events, index)
    parts = [
        b"\x09",
        time_ns.to_bytes(8, "little"),
        _NAME,
        field(_ATTRIBUTE_TAG, key_value(SEQUENCE, sequence)),
    ]
    if gap_ns != NO_GAP:
        parts.append(field(_ATTRIBUTE_TAG, key_value(GAP, to_s(gap_ns))))
    if count > 1:
        parts.append(field(_ATTRIBUTE_TAG, key_value(COALESCED, count)))
    if text is not None:
        parts.append(field(_ATTRIBUTE_TAG, key_value(TEXT, text)))
    return field(EVENT_TAG, b"".join(parts))


def row(events: ChunkEvents, index: int) -> tuple[int, int, int, int, str | None]:
    """Return (time_ns, sequence, gap_ns, count, text) of event `index`."""
    times = events.times_ns
    if events.gaps_ns is not None:
        gap_ns = events.gaps_ns[index]
    else:
        gap_ns = times[index] - times[index - 1] if index else NO_GAP
    return (
        times[index],
        events.sequences[index] if events.sequences is not None else index,
        gap_ns,
        events.counts[index] if events.counts is not None else 1,
        events.texts[index] if events.texts is not None else None,
    )


def chunk_events_size(events: ChunkEvents) -> int:
    """Return an upper bound of the bytes the events take in a request."""
    size = (_UNCOALESCED_BYTES_MAX if events.counts is None else EVENT_BYTES_MAX) * len(events)
    if events.texts is not None:
        # A character takes at most 4 bytes in UTF-8; tags, lengths and the key take the rest.
        size += sum(4 * len(text) + 48 for text in events.texts)
    return size

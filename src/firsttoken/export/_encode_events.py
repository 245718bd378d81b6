"""Chunk events as OTLP protobuf bytes, straight from flat arrays. Floor 3 (tell), pure; export thread.

The events of a stream look alike: the same bytes, but for a time, a sequence and a gap, and a count where
neighbours were joined. So a piece is one template repeated, and each number is a column that one strided
copy fills in. For that all events have to have the same size, and one that is a multiple of eight: a small
integer takes more bytes than it needs, which protobuf allows. What can be done to a whole column at once,
as to one very long integer, is.

Source: https://protobuf.dev/programming-guides/encoding/ (fields, varints).
Cost: about 60 ns per event, 30 µs between breaths, tests/bench/bench_export.py.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby
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
# So many are quicker written one by one.
_FEW: Final = 4
# What does not fit into the four varint bytes that a column has; negative numbers do not either.
_WIDE_BITS: Final = (1 << 64) - (1 << 28)
_SIGN_BIT: Final = 1 << 63


def _integer(key: str, width: int) -> bytes:
    """Return an attribute of value 0 that takes `width` bytes."""
    pair = bytearray(key_value(key, 0)[:-1] + b"\x80" * (width - 1) + b"\0")
    # The value's own length sits before the tag of the integer.
    pair[-width - 2] += width - 1
    return field(_ATTRIBUTE_TAG, bytes(pair))


class _Template(NamedTuple):
    """One event, its numbers still zero, and where they go.

    size: a multiple of eight.
    count_at: 0 where the event stands for one chunk.
    """

    event: bytes
    size: int
    time_at: int
    sequence_at: int
    gap_at: int
    count_at: int


def _template(sequence_width: int, count_width: int) -> _Template:
    gap = field(_ATTRIBUTE_TAG, key_value(GAP, 0.0))
    head = b"\x09" + bytes(8) + _NAME + _integer(SEQUENCE, sequence_width)
    count = _integer(COALESCED, count_width) if count_width else b""
    event = field(EVENT_TAG, head + gap + count)
    size, shell = len(event), len(event) - len(head) - len(gap) - len(count)
    end_of_gap = shell + len(head) + len(gap)
    return _Template(
        event,
        size,
        shell + 1,
        shell + len(head) - sequence_width,
        end_of_gap - 8,
        size - count_width if count else 0,
    )


def _width(size_of_four: int) -> int:
    """Return how many bytes an integer has to take for the event to end on a multiple of eight."""
    return 4 + -size_of_four % 8


_SEQUENCE_WIDTH: Final = _width(_template(4, 0).size)
_COUNT_WIDTH: Final = _width(_template(_SEQUENCE_WIDTH, 4).size)
_SINGLE: Final = _template(_SEQUENCE_WIDTH, 0)
_JOINED: Final = _template(_SEQUENCE_WIDTH, _COUNT_WIDTH)

# Longer integers, and a longer length in front of them, take no more than this.
_WIDE_BYTES: Final = 20
#: No event without text takes more bytes than this in a request, however long its integers are.
EVENT_BYTES_MAX: Final = _JOINED.size + _WIDE_BYTES


def encode_chunk_events(
    events: ChunkEvents, begin: int, end: int, breathe: Callable[[], None]
) -> Iterator[bytes | bytearray]:
    """Yield the events in [begin, end) as fields of a span, in pieces.

    breathe: called between pieces of at most 512 events; may give the GIL away.
    """
    while begin < end:
        # Pieces end where the remembered blocks of sequences do.
        piece_end = _run_end(events.counts, begin, min(begin - begin % _PIECE + _PIECE, end))
        piece: bytes | bytearray | None = None
        if events.row(begin)[2] == NO_GAP:
            piece_end, piece = begin + 1, _row(events, begin)
        elif events.texts is None and piece_end - begin > _FEW:
            piece = _columns(events, begin, piece_end)
        if piece is None:
            piece_end = min(begin + _PIECE // 8, piece_end)
            piece = b"".join([_row(events, index) for index in range(begin, piece_end)])
        yield piece
        begin = piece_end
        breathe()


def _run_end(counts: array[int] | None, begin: int, end: int) -> int:
    """Return where the joined events end with which a piece begins, if they are many; else `end`."""
    if counts is None or counts[begin] == 1:
        return end
    piece = counts[begin:end]
    run = piece.index(1) if 1 in piece else len(piece)
    return begin + run if run >= _PIECE // 8 else end


def _columns(events: ChunkEvents, begin: int, end: int) -> bytes | bytearray | None:
    """Lay a piece out by columns; None if an event has no gap, or a number is too large for its column."""
    times = events.times_ns[begin:end]
    gaps = _gaps(events, begin, end)
    sequences = (
        _varints(events.sequences[begin:end], _SEQUENCE_WIDTH)
        if events.sequences is not None
        else _own_sequences(begin, end)
    )
    if gaps is None or sequences is None:
        return None
    in_seconds = memoryview(pack(f"<{len(gaps)}d", *[gap / NS_PER_S for gap in gaps])).cast("q")
    numbers = times, sequences, in_seconds
    counts = events.counts[begin:end] if events.counts is not None else None
    ones = len(times) if counts is None else counts.count(1)
    if counts is None or ones == len(times):
        return _laid_out(_SINGLE, *numbers)
    joined_counts = _varints(counts, _COUNT_WIDTH)
    if joined_counts is None:
        return None
    joined = _laid_out(_JOINED, *numbers)
    _fill(joined, _JOINED.count_at, _JOINED.size, joined_counts)
    return _merged(_laid_out(_SINGLE, *numbers), joined, counts) if ones else joined


def _laid_out(template: _Template, times: array[int], sequences: memoryview, gaps: memoryview) -> bytearray:
    out = bytearray(template.event) * len(times)
    _fill(out, template.time_at, template.size, memoryview(_little_endian(times)))
    _fill(out, template.sequence_at, template.size, sequences)
    _fill(out, template.gap_at, template.size, gaps)
    return out


def _fill(out: bytearray, at: int, size: int, column: memoryview) -> None:
    """Copy one number into each event of `size` bytes."""
    width = column.itemsize
    # From the first number to the last, as if all between them were numbers as well.
    numbers = memoryview(out)[at : len(out) - size + at + width].cast("q" if width == 8 else "I")
    numbers[:: size // width] = column


def _merged(singles: bytearray, joined: bytearray, counts: array[int]) -> bytes:
    """Take each event from where it belongs."""
    parts: list[memoryview] = []
    begin = 0
    for is_one, run in groupby([count == 1 for count in counts]):
        end = begin + len(list(run))
        source, size = (singles, _SINGLE.size) if is_one else (joined, _JOINED.size)
        parts.append(memoryview(source)[begin * size : end * size])
        begin = end
    return b"".join(parts)


def _gaps(events: ChunkEvents, begin: int, end: int) -> array[int] | None:
    """Return the gap before each event; None if there is one that has none."""
    if events.gaps_ns is not None:
        gaps = events.gaps_ns[begin:end]
        return None if _lanes(gaps) & _each(_SIGN_BIT, end - begin) else gaps
    lanes = _lanes(events.times_ns[begin:end]) - _lanes(events.times_ns[begin - 1 : end - 1])
    # No lane borrows from the next as long as time goes forward.
    if lanes < 0:
        return None
    packed = lanes.to_bytes(8 * (end - begin), "little")
    return _little_endian(array("q", packed)) if packed[7::8].count(0) == end - begin else None


def _varints(numbers: array[int], width: int) -> memoryview | None:
    """Return the first four bytes of each number as a varint of `width` bytes; None if one needs more."""
    lanes, count = _lanes(numbers), len(numbers)
    if lanes & _each(_WIDE_BITS, count):
        return None
    spread = _each(0x808080 if width == 4 else 0x80808080, count)
    for byte in range(4):
        bits = lanes & _each(0x7F << 7 * byte, count)
        if bits:
            spread |= bits << byte
    return memoryview(spread.to_bytes(8 * count, "little")).cast("I")[::2]


def _is_narrow(numbers: array[int]) -> bool:
    """Whether four varint bytes are enough for each number."""
    return not _lanes(numbers) & _each(_WIDE_BITS, len(numbers))


@lru_cache(maxsize=64)
def _each(lane: int, count: int) -> int:
    """Return `count` times the same 64 bits."""
    return int.from_bytes(lane.to_bytes(8, "little") * count, "little")


def _lanes(numbers: array[int]) -> int:
    """Return all numbers as one, 64 bits each."""
    return int.from_bytes(_little_endian(numbers), "little")


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


@lru_cache(maxsize=64)
def _block_of_sequences(block: int) -> memoryview | None:
    first = block * _PIECE
    return _varints(array("q", range(first, first + _PIECE)), _SEQUENCE_WIDTH)


def _own_sequences(begin: int, end: int) -> memoryview | None:
    """Return the varints of [begin, end), which lie in one block: most streams are numbered alike."""
    block = _block_of_sequences(begin // _PIECE)
    first = begin % _PIECE
    return None if block is None else block[first : first + end - begin]


def _row(events: ChunkEvents, index: int) -> bytes:
    """Encode one event of any shape."""
    time_ns, sequence, gap_ns, count, text = events.row(index)
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


def chunk_events_size(events: ChunkEvents) -> int:
    """Return an upper bound of the bytes the events take in a request."""
    one = (_SINGLE if events.counts is None else _JOINED).size
    if not all(_is_narrow(column) for column in (events.sequences, events.counts) if column is not None):
        one += _WIDE_BYTES
    size = one * len(events)
    if events.texts is not None:
        # A character takes at most 4 bytes in UTF-8; tags, lengths and the key take the rest.
        size += sum(4 * len(text) + 48 for text in events.texts)
    return size

"""Ended spans that wait to be sent, bounded by bytes. Floor 3 (tell), pure; runs on the export thread.

When more waits than may, what is worth least goes first: event detail (a stream's timeline attribute
still holds every chunk), then healthy spans, and last the ones somebody will look for.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export._encode_events import chunk_events_size

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from firsttoken.export._encode_spans import EncodedSpan

# What Python keeps around the bytes of one entry: the entry, its tuples and list slots.
_ENTRY_BYTES: Final = 400
_EVENT_BYTES: Final = 64
# Tags and lengths around one span, its scope and its resource, and its count of dropped events.
_SHELL_BYTES: Final = 40
# What the SDK's objects of one span take, kept only for a stock exporter.
_OBJECTS_BYTES: Final = 4_000


class Entry:
    """One ended span on its way out.

    number: its place in the order in which spans ended, from 0.
    span: the encoded span, without its chunk events.
    chunks: its chunk events, packed; None if it has none, or they were dropped; changed by `tell` only.
    valued: whether it is dropped last: an error, a slow first token, an outcome other than completed.
    original: the span itself, where a stock exporter will want it.
    size: bytes it keeps in memory, estimated; without the resource and scope it shares.
    request_size: upper bound of the bytes it takes in a request, without resource and scope.
    """

    __slots__ = (
        "chunks",
        "dropped_chunks",
        "number",
        "original",
        "request_size",
        "size",
        "span",
        "taken",
        "valued",
    )

    def __init__(
        self,
        number: int,
        span: EncodedSpan,
        chunks: ChunkEvents | None,
        *,
        valued: bool = False,
        original: ReadableSpan | None = None,
    ) -> None:
        self.number = number
        self.span = span
        self.valued = valued
        self.original = original
        self.dropped_chunks = 0
        self.taken = False
        self.tell(chunks)

    def tell(self, chunks: ChunkEvents | None) -> None:
        """Have the entry tell these chunk events."""
        self.chunks = chunks
        self.size = _ENTRY_BYTES + self.span.size + _EVENT_BYTES * len(self.span.events)
        self.request_size = self.span.size + _SHELL_BYTES
        if self.original is not None:
            self.size += _OBJECTS_BYTES + 3 * self.span.size
        if chunks is not None:
            self.size += _packed_size(chunks)
            self.request_size += chunk_events_size(chunks)

    def drop_chunks(self) -> int:
        """Forget the chunk events, count their chunks as dropped; return how many there were."""
        chunks = self.chunks
        count = 0 if chunks is None else len(chunks) if chunks.counts is None else sum(chunks.counts)
        self.dropped_chunks += count
        self.tell(None)
        return count

    @property
    def carried(self) -> bool:
        """Whether its chunk events came packed."""
        return self.chunks is not None or self.dropped_chunks > 0


def _packed_size(chunks: ChunkEvents) -> int:
    size = 200
    for column in (chunks.times_ns, chunks.sequences, chunks.gaps_ns, chunks.counts):
        if column is not None:
            size += column.itemsize * len(column)
    if chunks.texts is not None:
        size += sum(map(len, chunks.texts)) + 64 * len(chunks.texts)
    return size


class SpanQueue:
    """Entries in order, at most `limit_bytes` of them, and at most `limit_spans` if that is given.

    bytes: memory the entries keep, estimated.
    request_bytes: upper bound of what they take in requests.
    """

    def __init__(self, limit_bytes: int, limit_spans: int | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._limit_spans = limit_spans
        # Two lines by worth, each oldest first; and who still has detail to give, each oldest first.
        self._lines: tuple[deque[Entry], deque[Entry]] = (deque(), deque())
        self._detailed: tuple[deque[Entry], deque[Entry]] = (deque(), deque())
        self.bytes = 0
        self.request_bytes = 0

    def __len__(self) -> int:
        return len(self._lines[0]) + len(self._lines[1])

    def append(self, entry: Entry) -> tuple[int, list[Entry]]:
        """Add `entry` at the end; return how many chunk events and which entries had to go for it."""
        self._lines[entry.valued].append(entry)
        if entry.chunks is not None:
            self._detailed[entry.valued].append(entry)
        self._weigh(entry, 1)
        return self._make_room()

    def restore(self, entries: list[Entry]) -> tuple[int, list[Entry]]:
        """Put entries back at the front, in order; return what had to go, as `append` does."""
        for entry in reversed(entries):
            entry.taken = False
            self._lines[entry.valued].appendleft(entry)
            if entry.chunks is not None:
                self._detailed[entry.valued].appendleft(entry)
            self._weigh(entry, 1)
        return self._make_room()

    def peek(self) -> Entry | None:
        """Return the oldest entry, or None if there is none."""
        healthy, valued = self._lines
        if healthy and valued:
            return healthy[0] if healthy[0].number < valued[0].number else valued[0]
        return healthy[0] if healthy else valued[0] if valued else None

    def take(self) -> Entry:
        """Remove and return the oldest entry.

        Raises:
            IndexError: if the queue is empty.
        """
        entry = self.peek()
        if entry is None:
            raise IndexError("take from an empty queue")
        self._lines[entry.valued].popleft()
        self._forget(entry)
        return entry

    def _forget(self, entry: Entry) -> None:
        entry.taken = True
        self._weigh(entry, -1)
        line = self._detailed[entry.valued]
        while line and line[0].taken:
            line.popleft()

    def _make_room(self) -> tuple[int, list[Entry]]:
        chunks = 0
        gone: list[Entry] = []
        if self.bytes <= self._limit_bytes and self._limit_spans is None:
            return chunks, gone
        for line in self._detailed:
            while line and self.bytes > self._limit_bytes:
                chunks += self._drop_detail(line.popleft())
        for spans in self._lines:
            while spans and (self.bytes > self._limit_bytes or self._too_many):
                entry = spans.popleft()
                self._forget(entry)
                gone.append(entry)
        return chunks, gone

    @property
    def _too_many(self) -> bool:
        return self._limit_spans is not None and len(self) > self._limit_spans

    def _drop_detail(self, entry: Entry) -> int:
        if entry.taken:
            return 0
        self._weigh(entry, -1)
        count = entry.drop_chunks()
        self._weigh(entry, 1)
        return count

    def _weigh(self, entry: Entry, sign: int) -> None:
        self.bytes += sign * entry.size
        self.request_bytes += sign * entry.request_size

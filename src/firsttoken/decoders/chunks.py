"""The decoder for whatever comes: bytes, strings, dicts, SDK objects. Floor 2 (think); thinker thread.

    chunk -> (content encoding) -> framing -> wire event -> format -> deltas

What is not known beforehand is told by the first chunks: the framing by the first bytes, the format by the
first payload that has the shape of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from firsttoken.decoders._contract import Format, Framed, Framing, WireEvent
from firsttoken.decoders._delta import Delta, Undecoded
from firsttoken.decoders.alike import Frame
from firsttoken.decoders.content_encoding import Inflater, inflater_for
from firsttoken.decoders.framing import UndecidedFraming
from firsttoken.decoders.lines import LineChunks
from firsttoken.decoders.objects import framed_of, is_event
from firsttoken.decoders.sse import SSEFraming
from firsttoken.decoders.undecided import Reading, UndecidedFormat, deltas_of
from firsttoken.errors import DecodeError


class ChunkDecoder:
    """Reads one stream.

    format: the reader to use; None: found by the shape of the first payloads.
    content_type, content_encoding: of the response, where the chunks are its bytes.
    host: that sent it.

    `wire_events` counts the wire events so far: dispatched SSE events, NDJSON lines, array elements,
    frames; where the chunks are neither bytes nor text, the chunks.
    """

    def __init__(
        self,
        format: Format | None = None,
        *,
        content_type: str | None = None,
        host: str | None = None,
        content_encoding: str | None = None,
    ) -> None:
        self._format = UndecidedFormat(format, host)
        self._content_type = content_type
        self._inflater: Inflater | None = inflater_for(content_encoding)
        self._framing: Framing | None = None
        self._no_event: type | None = None  # the last type of object that was no server-sent event
        self._settled = False  # framing and format are known, and nothing is to be inflated
        self._frame: Frame | None = None  # of the last text event, where such events are told apart by it
        self._chunk = -1  # the number of the chunk that is read, among those that were not settled before
        self._unframed: list[int] = []  # the numbers of those whose bytes wait for a framing
        self.wire_events = 0

    @property
    def has_done(self) -> bool:
        """Whether the stream, when it ends well, ends with a done event."""
        format = self._format.chosen
        return format is not None and format.has_done

    @property
    def has_finish(self) -> bool:
        """Whether the stream, when it ends well, has a finish reason."""
        format = self._format.chosen
        return format is not None and format.has_finish

    @property
    def provider(self) -> str | None:
        """Who sends the stream, as far as host, package and format tell."""
        return self._format.provider

    @property
    def format_name(self) -> str | None:
        """The name of the format, once it is known."""
        format = self._format.chosen
        return None if format is None else format.name

    @property
    def holds(self) -> bool:
        """Whether what a chunk said waits for later ones that tell how to read it."""
        return bool(self._unframed) or self._format.holds

    def feed(self, chunk: Any) -> Sequence[Delta]:
        """Return the deltas that `chunk` completes, in wire order. Never raises, whatever the chunk is.

        Cost: tests/bench/bench_decoders.py; bytes hold the GIL for about 5 us per KiB.
        """
        if type(chunk) is bytes and self._settled:
            framing, frame = self._framing, self._frame
            was_between = frame is not None and frame.framing.between
            framed = framing.feed(chunk)  # type: ignore[union-attr]
            if len(framed) == 1:
                event = framed[0]
                if type(event) is WireEvent and event.dispatched:
                    self.wire_events += 1
                    deltas = deltas_of(self._format.chosen, event)  # type: ignore[arg-type]
                    if frame is not None:
                        if was_between:
                            frame.learn(chunk, deltas)
                        else:
                            frame.forget()
                    return deltas
            if frame is not None:
                frame.forget()
            readings = self._read_framed(framed, self._chunk)
        else:
            readings = self.read(chunk)
        return [delta for reading in readings for delta in reading.deltas]

    def feed_late(self, chunk: Any) -> list[tuple[int, Sequence[Delta]]]:
        """Do as `feed`, where something is held; return deltas with how many chunks ago theirs was fed."""
        return [(self._chunk - number, deltas) for _, number, deltas in self.read(chunk)]

    def flush_late(self) -> list[tuple[int, Sequence[Delta]]]:
        """Do as `flush`; return deltas with how many chunks before the last one theirs was fed."""
        return [(self._chunk - number, deltas) for _, number, deltas in self.read_end()]

    def skim(self, chunks: Sequence[Any], begin: int) -> int:
        """Take in the chunks from `begin` on that are the last one again with another text.

        Returns the index of the first that is not; what it says is for `feed`. For whoever does not ask
        what the text is.
        """
        if self._frame is None:
            return begin
        end = self._frame.skim(chunks, begin)
        self.wire_events += end - begin
        return end

    def flush(self) -> Sequence[Delta]:
        """Return what the end of the stream completes; called once, after the last `feed`."""
        return [delta for reading in self.read_end() for delta in reading.deltas]

    def read(self, chunk: Any) -> list[Reading]:
        """Return what `chunk` completes, wire event by wire event.

        A wire event that does not tell its format is read later, with the one that does.
        """
        self._chunk += 1
        kind = type(chunk)
        if kind is bytes:
            return self._read_bytes(chunk)
        try:
            if chunk is None:
                return []
            if isinstance(chunk, str):
                return self._read_plain(chunk.encode("utf-8", "replace"), from_text=True)
            if isinstance(chunk, (bytes, bytearray, memoryview)):
                return self._read_bytes(bytes(chunk))
            return self._read_object(chunk)
        except Exception as error:  # an object may raise whenever it is touched
            return [
                Reading(None, self._chunk, (Undecoded(f"chunk cannot be read: {type(error).__name__}"),))
            ]

    def read_end(self) -> list[Reading]:
        """Return what the end of the stream completes, wire event by wire event."""
        readings: list[Reading] = []
        framing = self._framing
        if isinstance(framing, UndecidedFraming) and framing.chosen is None:
            readings += self._read_pieces(framing.release())
        if framing is not None:
            readings += self._read_framed(framing.flush(), self._chunk)
        return readings + self._format.read_end()

    def _read_bytes(self, data: bytes) -> list[Reading]:
        if self._inflater is None:
            return self._read_plain(data)
        readings: list[Reading] = []
        try:
            for piece in self._inflater.feed(data):
                readings += self._read_plain(piece)
        except DecodeError as error:
            readings.append(Reading(None, self._chunk, (Undecoded(str(error)),)))
        return readings

    def _read_plain(self, data: bytes, *, from_text: bool = False) -> list[Reading]:
        framing = self._framing
        if framing is None:
            framing = self._framing = UndecidedFraming(self._content_type, from_text=from_text)
        if isinstance(framing, UndecidedFraming) and framing.chosen is None:
            if data or self._unframed:
                self._unframed.append(self._chunk)
            readings = self._read_pieces(framing.offer(data))
        else:
            readings = self._read_framed(framing.feed(data), self._chunk)
        if isinstance(framing, (UndecidedFraming, LineChunks)) and framing.chosen is not None:
            self._framing = framing.chosen
        self._settled = (
            self._inflater is None
            and not self._format.is_open
            and not isinstance(self._framing, (UndecidedFraming, LineChunks))
        )
        if self._frame is not None:
            self._frame.forget()
        elif self._settled and isinstance(self._framing, SSEFraming):
            is_verbatim = getattr(self._format.chosen, "verbatim", False)
            self._frame = Frame(self._framing) if is_verbatim else None
        return readings

    def _read_pieces(self, pieces: Sequence[bytes]) -> list[Reading]:
        """Read bytes that were held back until now, which is known by there being any."""
        if not pieces:
            return []
        numbers, self._unframed = self._unframed, []
        if len(numbers) != len(pieces):  # they were joined: this chunk completes whatever is in them
            numbers = [self._chunk] * len(pieces)
        chosen = self._framing.chosen  # type: ignore[union-attr]  # it has just been chosen
        return [
            reading
            for number, piece in zip(numbers, pieces, strict=True)
            for reading in self._read_framed(chosen.feed(piece), number)
        ]

    def _read_framed(self, framed: Sequence[Framed], chunk: int) -> list[Reading]:
        readings: list[Reading] = []
        for event in framed:
            if not isinstance(event, WireEvent):
                readings.append(Reading(None, chunk, (event,)))
                continue
            index = None
            if event.dispatched:
                index = self.wire_events
                self.wire_events = index + 1
            readings += self._read_payload(index, chunk, event)
        return readings

    def _read_object(self, chunk: Any) -> list[Reading]:
        if isinstance(chunk, dict):
            if not chunk:
                return []
            if "data" in chunk and is_event(chunk):
                return self._read_framed(framed_of(chunk) or (), self._chunk)
        elif type(chunk) is not self._no_event:
            framed = framed_of(chunk)
            if framed is not None:
                return self._read_framed(framed, self._chunk)
            self._no_event = type(chunk)
        index = self.wire_events
        self.wire_events = index + 1
        return self._read_payload(index, self._chunk, chunk)

    def _read_payload(self, index: int | None, chunk: int, payload: Any) -> list[Reading]:
        format = self._format
        if format.is_open:
            return format.read(index, chunk, payload)
        return [Reading(index, chunk, deltas_of(format.chosen, payload))]  # type: ignore[arg-type]  # it is chosen

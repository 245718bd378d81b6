"""The decoder for whatever comes: bytes, strings, dicts, SDK objects. Floor 2 (think); thinker thread.

    chunk -> (content encoding) -> framing -> wire event -> format -> deltas

What is not known beforehand is told by the first chunks: the framing by the first bytes, the format by the
first payload that has the shape of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from firsttoken.decoders import table
from firsttoken.decoders._contract import Format, Framed, Framing, WireEvent
from firsttoken.decoders._delta import Delta, Undecoded
from firsttoken.decoders._payload import error_of, parse_json
from firsttoken.decoders.alike import Frame
from firsttoken.decoders.content_encoding import Inflater, inflater_for
from firsttoken.decoders.formats.text import neutral_deltas, text_of
from firsttoken.decoders.framing import UndecidedFraming
from firsttoken.decoders.lines import LineChunks
from firsttoken.decoders.objects import framed_of, is_event
from firsttoken.decoders.sse import SSEFraming
from firsttoken.errors import DecodeError

MAX_HELD_PAYLOADS: Final = 3
"""Payloads of unknown shape held back, at most, until one tells the format."""

MAX_HELD_BYTES: Final = 64 * 1024
"""Bytes in them, at most."""

_LONGEST_TOKEN: Final = 32

Reading = tuple[int | None, Sequence[Delta]]
"""The deltas of one wire event with its index; of what is none (a comment, a loss) with None."""


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
        self._format = format
        self._content_type = content_type
        self._inflater: Inflater | None = inflater_for(content_encoding)
        self._framing: Framing | None = None
        self._host = host
        self._provider = table.provider_at(host)
        self._held: list[tuple[int | None, Any]] = []
        self._held_bytes = 0
        self._doubts = 0  # payloads still to be looked at after the format was only guessed
        self._no_event: type | None = None  # the last type of object that was no server-sent event
        self._settled = False  # framing and format are known, and nothing is to be inflated
        self._frame: Frame | None = None  # of the last text event, where such events are told apart by it
        self.wire_events = 0

    @property
    def has_done(self) -> bool:
        """Whether the stream, when it ends well, ends with a done event."""
        return self._format is not None and self._format.has_done

    @property
    def has_finish(self) -> bool:
        """Whether the stream, when it ends well, has a finish reason."""
        return self._format is not None and self._format.has_finish

    @property
    def provider(self) -> str | None:
        """Who sends the stream, as far as host, package and format tell."""
        return self._provider or (self._format.provider if self._format is not None else None)

    @property
    def format_name(self) -> str | None:
        """The name of the format, once it is known."""
        return self._format.name if self._format is not None else None

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
                    deltas = _deltas_of(self._format, event)  # type: ignore[arg-type]
                    if frame is not None:
                        if was_between:
                            frame.learn(chunk, deltas)
                        else:
                            frame.forget()
                    return deltas
            if frame is not None:
                frame.forget()
            readings = self._read_framed(framed)
        else:
            readings = self.read(chunk)
        return [delta for _, deltas in readings for delta in deltas]

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
        return [delta for _, deltas in self.read_end() for delta in deltas]

    def read(self, chunk: Any) -> list[Reading]:
        """Return what `chunk` completes, wire event by wire event.

        A wire event that does not tell its format is read later, with the one that does.
        """
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
            return [(None, (Undecoded(f"chunk cannot be read: {type(error).__name__}"),))]

    def read_end(self) -> list[Reading]:
        """Return what the end of the stream completes, wire event by wire event."""
        readings = [] if self._framing is None else self._read_framed(self._framing.flush())
        if self._held:
            readings += self._guess()
        return readings

    def _read_bytes(self, data: bytes) -> list[Reading]:
        if self._inflater is None:
            return self._read_plain(data)
        readings: list[Reading] = []
        try:
            for piece in self._inflater.feed(data):
                readings += self._read_plain(piece)
        except DecodeError as error:
            readings.append((None, (Undecoded(str(error)),)))
        return readings

    def _read_plain(self, data: bytes, *, from_text: bool = False) -> list[Reading]:
        framing = self._framing
        if framing is None:
            framing = self._framing = UndecidedFraming(self._content_type, from_text=from_text)
        readings = self._read_framed(framing.feed(data))
        if isinstance(framing, (UndecidedFraming, LineChunks)) and framing.chosen is not None:
            self._framing = framing.chosen
        self._settled = (
            self._inflater is None
            and self._format is not None
            and not self._doubts
            and not isinstance(self._framing, (UndecidedFraming, LineChunks))
        )
        if self._frame is not None:
            self._frame.forget()
        elif self._settled and isinstance(self._framing, SSEFraming):
            self._frame = Frame(self._framing) if getattr(self._format, "verbatim", False) else None
        return readings

    def _read_framed(self, framed: Sequence[Framed]) -> list[Reading]:
        readings: list[Reading] = []
        for event in framed:
            if not isinstance(event, WireEvent):
                readings.append((None, (event,)))
                continue
            index = None
            if event.dispatched:
                index = self.wire_events
                self.wire_events = index + 1
            if self._format is None or self._doubts:
                readings += self._read_undecided(index, event)
            else:
                readings.append((index, _deltas_of(self._format, event)))
        return readings

    def _read_object(self, chunk: Any) -> list[Reading]:
        if isinstance(chunk, dict):
            if not chunk:
                return []
            if "data" in chunk and is_event(chunk):
                return self._read_framed(framed_of(chunk) or ())
        elif type(chunk) is not self._no_event:
            framed = framed_of(chunk)
            if framed is not None:
                return self._read_framed(framed)
            self._no_event = type(chunk)
        index = self.wire_events
        self.wire_events = index + 1
        if self._format is None or self._doubts:
            return self._read_undecided(index, chunk)
        return [(index, _deltas_of(self._format, chunk))]

    def _read_undecided(self, index: int | None, payload: Any) -> list[Reading]:
        """Read a payload that may tell the format; one that does not is held back."""
        name, body = _opened(payload)
        if isinstance(payload, WireEvent) and payload.failure:
            return [(index, (error_of(body, default_type=name),))]
        row = table.row_of(name, body, host=self._host)
        if row is not None:
            return self._adopt(row, index, payload)
        if self._format is not None:
            self._doubts -= 1
            return [(index, _deltas_of(self._format, payload))]
        neutral = neutral_deltas(name, body)
        if neutral is not None:
            return [(index, neutral)]
        if isinstance(body, str) and body[:1] not in ("{", "["):
            return self._guess(table.TEXT, index, payload)
        if text_of(body) or not (isinstance(body, (dict, list, str)) or table.knows_package(body)):
            return self._guess(table.LOOSE_JSON, index, payload)
        self._held.append((index, payload))
        self._held_bytes += len(payload.data) if isinstance(payload, WireEvent) else 0
        if len(self._held) > MAX_HELD_PAYLOADS or self._held_bytes > MAX_HELD_BYTES:
            return self._guess()
        return []

    def _guess(
        self, row: table.Row | None = None, index: int | None = None, payload: Any = None
    ) -> list[Reading]:
        """Settle for text or loose JSON, ready to change over should a known shape still come."""
        if row is None:
            row = table.TEXT if any(_is_token(held) for _, held in self._held) else table.LOOSE_JSON
        self._doubts = MAX_HELD_PAYLOADS
        return self._settle(row, index, payload)

    def _adopt(self, row: table.Row, index: int | None, payload: Any) -> list[Reading]:
        self._doubts = 0
        self._provider = self._provider or table.provider_of(payload, row)
        return self._settle(row, index, payload)

    def _settle(self, row: table.Row, index: int | None, payload: Any) -> list[Reading]:
        held, self._held = self._held, []
        self._held_bytes = 0
        self._format = reader = row.factory()
        if payload is not None:
            held.append((index, payload))
        return [(number, _deltas_of(reader, item)) for number, item in held]


def _is_token(payload: Any) -> bool:
    """Return whether a held payload is a piece of text that only looked like the beginning of JSON."""
    if not isinstance(payload, WireEvent) or not payload.dispatched or len(payload.data) > _LONGEST_TOKEN:
        return False
    return isinstance(_opened(payload)[1], str)


def _deltas_of(reader: Format, payload: Any) -> Sequence[Delta]:
    try:
        return reader.read(payload) or ()
    except Exception as error:  # formats do not raise, but anyone may register one
        return (Undecoded(f"{reader.name} cannot read this: {type(error).__name__}"),)


def _opened(payload: Any) -> tuple[str | None, Any]:
    """Return the name and the body of a payload, as `table.Shape` wants them."""
    if not isinstance(payload, WireEvent):
        return None, payload
    try:
        body = parse_json(payload.data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, (dict, list)):
        body = payload.data.decode("utf-8", "replace")
    return payload.name, body

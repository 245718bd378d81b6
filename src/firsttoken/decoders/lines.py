"""Lines that lost their ends, as any HTTP client's `iter_lines()` yields them. Floor 2; thinker thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from firsttoken.decoders._contract import Framed, Framing
from firsttoken.decoders._payload import DONE_SENTINEL, is_document

MAX_HELD_BYTES: Final = 64 * 1024
"""First bytes held back, at most, until the next chunk tells whether they were a line."""

_FIELD: Final = re.compile(rb"(?:data|event|id|retry):")


class LineChunks:
    """Gives a framing of lines its line ends back, if it turns out that each chunk is a line without one.

    framing: SSE or NDJSON, told apart by the first chunk.

    The first chunk alone cannot tell, as it may be cut just before its end; the second does, by starting
    as a line starts. A first chunk that is a complete document is not held back for that.
    """

    __slots__ = ("_held", "_held_bytes", "_lines", "_told_early", "chosen")

    def __init__(self, framing: Framing) -> None:
        self._lines = framing
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._told_early = False
        self.chosen: Framing | None = None

    def feed(self, data: bytes) -> Sequence[Framed]:
        """Return the wire events that `data` completes."""
        if self.chosen is not None:
            return self.chosen.feed(data)
        if not self._held:
            self._hold(data)
            if _is_unit(data):
                self._told_early = True
                return self._lines.feed(data + b"\n\n")
            return ()
        if self._starts_line(data):
            self.chosen = _Lines(self._lines)
            held = [] if self._told_early else self._held
            return [event for line in (*held, data) for event in self.chosen.feed(line)]
        if self._told_early:
            if not data:
                return ()
            self.chosen = self._lines
            return self._lines.feed(data)
        self._hold(data)
        if b"\n" in data or b"\r" in data or self._held_bytes > MAX_HELD_BYTES:
            return self._settle()
        return ()

    def flush(self) -> Sequence[Framed]:
        """Return what the end of the stream completes."""
        framed: list[Framed] = []
        if self.chosen is None and not self._told_early:
            framed += self._settle()
        framed += (self.chosen or self._lines).flush()
        return framed

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)

    def _settle(self) -> Sequence[Framed]:
        self.chosen = self._lines
        data = b"".join(self._held)
        self._held.clear()
        return self._lines.feed(data)

    def _starts_line(self, data: bytes) -> bool:
        if self._told_early and data[:1] in (b"{", b"[") and self._held[0][:1] == b"{":
            return True
        return _FIELD.match(data) is not None and _may_be_line(self._held[0])


class _Lines:
    """Ends each chunk as a line; SSE data that is a whole document, as an event."""

    __slots__ = ("_blanks", "_data_open", "_framing", "_spread")

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._blanks = False  # the blank lines come too
        self._data_open = False  # the last line was data that no blank line has ended yet
        self._spread = False  # that data is a document, spread over lines

    def feed(self, data: bytes) -> Sequence[Framed]:
        if not data:
            self._blanks = True
            self._data_open = False
            return self._framing.feed(b"\n")
        if _is_unit(data):
            self._data_open = False
            return self._framing.feed(data + b"\n\n")
        end_before = b""
        if data[:5] != b"data:":
            self._data_open = False
        elif not self._data_open:
            self._data_open = True
            self._spread = _opens_document(data)
        elif not self._blanks and not self._spread:
            end_before = b"\n"
        return self._framing.feed(end_before + data + b"\n")

    def flush(self) -> Sequence[Framed]:
        return (
            [*self._framing.feed(b"\n"), *self._framing.flush()]
            if self._data_open
            else self._framing.flush()
        )


def _may_be_line(line: bytes) -> bool:
    """Return whether `line` may be a whole one: no data that opens a document and leaves it open."""
    return line[:5] != b"data:" or not _opens_document(line) or _is_unit(line)


def _opens_document(line: bytes) -> bool:
    return line[5:].lstrip()[:1] in (b"{", b"[")


def _is_unit(line: bytes) -> bool:
    """Return whether `line` is one whole document, or the data line of one, or the end sentinel."""
    value = line[5:] if line[:5] == b"data:" else line
    value = value.strip()
    if value[-1:] not in (b"}", b"]"):
        return False
    return value == DONE_SENTINEL or is_document(value)

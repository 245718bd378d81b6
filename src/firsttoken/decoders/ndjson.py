"""Newline-delimited JSON: bytes to wire events. Floor 2 (think); runs on the thinker thread.

Source: https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from typing import Final

from firsttoken.decoders._contract import Framed, WireEvent
from firsttoken.decoders._delta import Undecoded

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""Longest line kept, in bytes; a longer one is skipped to its end and told as one `Undecoded`."""

_TOO_LONG: Final = Undecoded(f"NDJSON line longer than {MAX_LINE_BYTES} bytes")


class NDJSONFraming:
    """Cuts a body of one JSON document per line, split anywhere, into wire events. Blank lines are none."""

    __slots__ = ("_oversized", "_parts", "_pending")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line whose end has not come
        self._pending = 0  # bytes in them
        self._oversized = False

    def feed(self, data: bytes) -> list[Framed]:
        """Return the lines that `data` completes."""
        if b"\n" not in data:
            self._keep(data)
            return []
        lines = data.split(b"\n")
        rest = lines.pop()
        framed: list[Framed] = []
        if self._parts or self._oversized:
            framed += self._finish(lines.pop(0))
        framed += [_event(line) for line in lines if line and not line.isspace()]
        self._keep(rest)
        return framed

    def flush(self) -> list[Framed]:
        """Return the last line: it needs no line end."""
        return self._finish(b"")

    def _finish(self, end: bytes) -> list[Framed]:
        self._parts.append(end)
        line = b"".join(self._parts)
        self._parts.clear()
        self._pending = 0
        if self._oversized:
            self._oversized = False
            return [_TOO_LONG]
        return [_event(line)] if line and not line.isspace() else []

    def _keep(self, part: bytes) -> None:
        self._pending += len(part)
        if self._pending > MAX_LINE_BYTES:
            self._oversized = True
            self._parts.clear()
        if part and not self._oversized:
            self._parts.append(part)


def _event(line: bytes) -> Framed:
    return WireEvent(line) if len(line) <= MAX_LINE_BYTES else _TOO_LONG

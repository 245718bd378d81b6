"""Server-Sent Events: bytes to wire events. Floor 2 (think); runs on the thinker thread.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Works on bytes throughout: the separators are ASCII, so a cut inside a UTF-8 sequence needs no care.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from firsttoken.decoders._contract import Framed, WireEvent
from firsttoken.decoders._delta import KeepAlive, Undecoded

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Longest event kept, in bytes; a longer one is skipped to its end and told as one `Undecoded`."""

_BOM: Final = b"\xef\xbb\xbf"
_NOT_BLANK: Final = b"x"
_KEEP_ALIVE: Final = KeepAlive()
_TOO_LONG: Final = Undecoded(f"SSE event longer than {MAX_EVENT_BYTES} bytes")


class SSEFraming:
    """Cuts a body of type `text/event-stream`, split anywhere, into wire events.

    A comment is a `KeepAlive`. A named event without data, and what the end of the stream cuts off, come
    as wire events that are not `dispatched`: by the rules they do not happen, yet some providers end so.

    Cost: tests/bench/bench_decoders.py, row "sse".
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_lost",
        "_name",
        "_parts",
        "_pending",
        "_size",
        "_started",
        "between",
    )

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line whose end has not come
        self._pending = 0  # bytes in them
        self._data: list[bytes] = []  # data lines of an event whose end has not come
        self._size = 0  # bytes in them
        self._name: str | None = None
        self._lost = False  # that event is too long and skipped to its end
        self._after_cr = False
        self._started = False
        self.between = False  # nothing is open: the next byte starts an event

    def feed(self, data: bytes) -> Sequence[Framed]:
        """Return the wire events and comments that `data` completes."""
        if 13 in data or self._after_cr:
            data = self._with_lf_only(data)
        elif (
            self.between and data.find(b"\n") == len(data) - 2 and data[:6] == b"data: " and data[-1] == 10
        ):
            # What nearly every chunk is: one event of one line.
            return (WireEvent(data[6:-2]),) if len(data) < MAX_EVENT_BYTES else (_TOO_LONG,)
        lines = data.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            self.between = self.between and not rest
            return ()
        if self._parts:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
            self._pending = 0
        if not self._started:
            self._started = True
            lines[0] = lines[0].removeprefix(_BOM)
        framed = self._take(lines)
        if rest or self._size > MAX_EVENT_BYTES:
            self._keep(rest)
        self.between = not (self._parts or self._data or self._name or self._lost)
        return framed

    def flush(self) -> Sequence[Framed]:
        """Return what the end of the stream cuts off, not dispatched."""
        framed: list[Framed] = []
        if self._parts:
            line = b"".join(self._parts)
            self._parts.clear()
            framed += self._take([line if self._started else line.removeprefix(_BOM)])
        if self._lost:
            framed.append(_TOO_LONG)
        elif self._data or self._name is not None:
            framed.append(WireEvent(b"\n".join(self._data), self._name, dispatched=False))
        return framed

    def _take(self, lines: list[bytes]) -> list[Framed]:
        framed: list[Framed] = []
        data, size = self._data, self._size
        for line in lines:
            if line[:5] == b"data:":
                size += len(line)
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                if size > MAX_EVENT_BYTES or self._lost:
                    framed.append(_TOO_LONG)
                    self._lost = False
                elif data:
                    framed.append(WireEvent(data[0] if len(data) == 1 else b"\n".join(data), self._name))
                elif self._name is not None:
                    framed.append(WireEvent(b"", self._name, dispatched=False))
                data.clear()
                size = 0
                self._name = None
            elif line[:6] == b"event:":
                name = line[7:] if line[6:7] == b" " else line[6:]
                self._name = name.decode("utf-8", "replace") or None
            elif line[:1] == b":":
                framed.append(_KEEP_ALIVE)
            elif line == b"data":  # a line without a colon is a field with an empty value
                data.append(b"")
            elif line == b"event":
                self._name = None
        self._size = size
        return framed

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line, or give the event up."""
        if self._lost or self._size + self._pending + len(part) > MAX_EVENT_BYTES:
            self._lost = True
            self._data.clear()
            self._size = 0
            # Of a lost event's line nothing matters but that it is not blank.
            self._parts = [_NOT_BLANK] if part or self._parts else []
            self._pending = 0
        elif part:
            self._parts.append(part)
            self._pending += len(part)

    def _with_lf_only(self, data: bytes) -> bytes:
        """Return `data` with LF for every line end, also where a cut has split a CRLF."""
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

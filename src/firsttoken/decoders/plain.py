"""Plain text: bytes to wire events. Floor 2 (think); runs on the thinker thread."""

from __future__ import annotations

from typing import Final

from firsttoken.decoders._contract import Framed, WireEvent

_LONGEST_SEQUENCE: Final = 4


class PlainFraming:
    """Passes on what comes, each chunk a wire event, but never cut inside a UTF-8 sequence."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Framed]:
        """Return the whole characters of `data` as one wire event."""
        data = self._rest + data
        end = _end_of_whole_characters(data)
        self._rest = data[end:]
        return [WireEvent(data[:end])] if end else []

    def flush(self) -> list[Framed]:
        """Return the piece of a character that is left, if any."""
        rest, self._rest = self._rest, b""
        return [WireEvent(rest, dispatched=False)] if rest else []


def _end_of_whole_characters(data: bytes) -> int:
    """Return how many bytes of `data` come before a UTF-8 sequence that its end cuts off."""
    for back in range(1, min(_LONGEST_SEQUENCE, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < needed else len(data)
    return len(data)

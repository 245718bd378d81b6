"""Which format a stream has, found by the shape of its first payloads. Floor 2 (think); thinker thread.

A payload that does not tell the format is held back until one does; what it says is told with the chunk
that it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from firsttoken.decoders import table
from firsttoken.decoders._contract import Format, WireEvent
from firsttoken.decoders._delta import Delta, Undecoded
from firsttoken.decoders._payload import error_of, parse_json
from firsttoken.decoders.formats.text import neutral_deltas, text_of

MAX_HELD_PAYLOADS: Final = 3
"""Payloads of unknown shape held back, at most, until one tells the format."""

MAX_HELD_BYTES: Final = 64 * 1024
"""Bytes in them, at most."""

_LONGEST_TOKEN: Final = 32


class Reading(NamedTuple):
    """What one wire event says.

    event: the number of the wire event; None for what is none (a comment, a loss).
    chunk: the number of the chunk that completed it.
    """

    event: int | None
    chunk: int
    deltas: Sequence[Delta]


_Held = tuple[int | None, int, Any]


class UndecidedFormat:
    """Holds the first payloads back until one tells the format, then reads them with it.

    host: that sends the stream, if known.
    """

    def __init__(self, format: Format | None, host: str | None) -> None:
        self.chosen = format
        self._host = host
        self._provider = table.provider_at(host)
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._doubts = 0  # payloads still to be looked at after the format was only guessed

    @property
    def is_open(self) -> bool:
        """Whether another payload may still change what the format is."""
        return self.chosen is None or self._doubts > 0

    @property
    def holds(self) -> bool:
        """Whether a payload is held back."""
        return bool(self._held)

    @property
    def provider(self) -> str | None:
        """Who sends the stream, as far as host, package and format tell."""
        return self._provider or (self.chosen.provider if self.chosen is not None else None)

    def read(self, index: int | None, chunk: int, payload: Any) -> list[Reading]:
        """Read a payload that may tell the format; one that does not is held back.

        index, chunk: the numbers of its wire event and of the chunk that it came in.
        """
        name, body = _opened(payload)
        if isinstance(payload, WireEvent) and payload.failure:
            return [Reading(index, chunk, (error_of(body, default_type=name),))]
        row = table.row_of(name, body, host=self._host)
        if row is not None:
            self._doubts = 0
            self._provider = self._provider or table.provider_of(payload, row)
            return self._settle(row, (index, chunk, payload))
        if self.chosen is not None:
            self._doubts -= 1
            return [Reading(index, chunk, deltas_of(self.chosen, payload))]
        neutral = neutral_deltas(name, body)
        if neutral is not None:
            return [Reading(index, chunk, neutral)]
        if isinstance(body, str) and body[:1] not in ("{", "["):
            return self._guess(table.TEXT, (index, chunk, payload))
        if text_of(body) or not (isinstance(body, (dict, list, str)) or table.knows_package(body)):
            return self._guess(table.LOOSE_JSON, (index, chunk, payload))
        self._held.append((index, chunk, payload))
        self._held_bytes += len(payload.data) if isinstance(payload, WireEvent) else 0
        if len(self._held) > MAX_HELD_PAYLOADS or self._held_bytes > MAX_HELD_BYTES:
            return self.read_end()
        return []

    def read_end(self) -> list[Reading]:
        """Read what is held back, as the text or the loose JSON that it seems to be."""
        if not self._held:
            return []
        return self._guess(
            table.TEXT if any(_is_token(held) for *_, held in self._held) else table.LOOSE_JSON
        )

    def _guess(self, row: table.Row, *payload: _Held) -> list[Reading]:
        """Settle for text or loose JSON, ready to change over should a known shape still come."""
        self._doubts = MAX_HELD_PAYLOADS
        return self._settle(row, *payload)

    def _settle(self, row: table.Row, *payload: _Held) -> list[Reading]:
        held, self._held = [*self._held, *payload], []
        self._held_bytes = 0
        self.chosen = reader = row.factory()
        return [Reading(index, chunk, deltas_of(reader, item)) for index, chunk, item in held]


def deltas_of(reader: Format, payload: Any) -> Sequence[Delta]:
    """Return what a payload says; never raises."""
    try:
        return reader.read(payload) or ()
    except Exception as error:  # formats do not raise, but anyone may register one
        return (Undecoded(f"{reader.name} cannot read this: {type(error).__name__}"),)


def _is_token(payload: Any) -> bool:
    """Return whether a held payload is a piece of text that only looked like the beginning of JSON."""
    if not isinstance(payload, WireEvent) or not payload.dispatched or len(payload.data) > _LONGEST_TOKEN:
        return False
    return isinstance(_opened(payload)[1], str)


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

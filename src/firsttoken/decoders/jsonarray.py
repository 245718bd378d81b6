"""JSON documents sent piecemeal: one array, or one after another. Floor 2 (think); thinker thread.

Only brackets and quotes are looked at; whether an element is JSON is for its format to find out.
"""

from __future__ import annotations

import re
from typing import Final

from firsttoken.decoders._contract import Framed, WireEvent
from firsttoken.decoders._delta import Undecoded

MAX_ELEMENT_BYTES: Final = 8 * 1024 * 1024
"""Longest element kept, in bytes; a longer one is skipped to its end and told as one `Undecoded`."""

_TOO_LONG: Final = Undecoded(f"JSON element longer than {MAX_ELEMENT_BYTES} bytes")
_IN_STRING: Final = re.compile(rb'["\\]')
_OUTSIDE: Final = re.compile(rb'["{}\[\],]')


class JSONArrayFraming:
    """Cuts one JSON array, split anywhere, into its elements, each seen as soon as it is complete.

    documents: read a sequence of documents in place of the elements of one array (pretty-printed JSON,
        objects without a separator).
    """

    __slots__ = ("_base", "_depth", "_escaped", "_in_string", "_oversized", "_parts", "_pending")

    def __init__(self, *, documents: bool = False) -> None:
        self._base = 0 if documents else 1  # the depth at which elements stand
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the data ended between a backslash and what it escapes
        self._parts: list[bytes] = []  # of an element whose end has not come
        self._pending = 0  # bytes in them
        self._oversized = False

    def feed(self, data: bytes) -> list[Framed]:
        """Return the elements that `data` completes."""
        framed: list[Framed] = []
        start = 0
        at = 1 if self._escaped and data else 0
        self._escaped = self._escaped and not data
        while True:
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(data, at)
            if found is None:
                break
            at = found.end()
            mark = data[at - 1]
            if self._in_string:
                if mark == 0x22:  # "
                    self._in_string = False
                else:  # a backslash
                    at += 1
                    self._escaped = at > len(data)
            elif mark == 0x22:
                self._in_string = True
            elif mark in b"{[":
                self._depth += 1
                if self._depth == self._base:
                    start = at
                    self._drop()
            elif mark in b"}]":
                if self._depth == self._base:  # the array's own end, after an element that is no container
                    self._complete(data[start : at - 1], framed)
                    start = at
                elif self._depth == self._base + 1:
                    self._complete(data[start:at], framed)
                    start = at
                self._depth = max(0, self._depth - 1)
            elif self._depth <= self._base:  # a comma
                self._complete(data[start : at - 1], framed)
                start = at
        self._keep(data[start:])
        return framed

    def flush(self) -> list[Framed]:
        """Return the element that the end of the stream cuts off, not dispatched."""
        framed: list[Framed] = []
        self._complete(b"", framed)
        return [
            WireEvent(event.data, dispatched=False) if isinstance(event, WireEvent) else event
            for event in framed
        ]

    def _complete(self, end: bytes, framed: list[Framed]) -> None:
        self._parts.append(end)
        element = b"".join(self._parts).strip()
        oversized = self._oversized or len(element) > MAX_ELEMENT_BYTES
        self._drop()
        if oversized:
            framed.append(_TOO_LONG)
        elif element:
            framed.append(WireEvent(element))

    def _drop(self) -> None:
        self._parts.clear()
        self._pending = 0
        self._oversized = False

    def _keep(self, part: bytes) -> None:
        self._pending += len(part)
        if self._pending > MAX_ELEMENT_BYTES:
            self._oversized = True
            self._parts.clear()
        if part and not self._oversized:
            self._parts.append(part)

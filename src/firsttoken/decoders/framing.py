"""Which framing a body has: by content type, else by its first bytes. Floor 2 (think); thinker thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from firsttoken.decoders._contract import Framed, Framing
from firsttoken.decoders._payload import is_document
from firsttoken.decoders.eventstream import PRELUDE_BYTES, EventStreamFraming, is_prelude
from firsttoken.decoders.jsonarray import JSONArrayFraming
from firsttoken.decoders.lines import LineChunks
from firsttoken.decoders.ndjson import NDJSONFraming
from firsttoken.decoders.plain import PlainFraming
from firsttoken.decoders.sse import SSEFraming

MAX_UNDECIDED_BYTES: Final = 64 * 1024
"""First bytes held back, at most, until they tell the framing."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r\n"
_FIELD: Final = re.compile(rb"(?:data|event|id|retry)?:")
_VERCEL_LINE: Final = re.compile(rb'[0-9a-k]:["\[{]')
_VERCEL_BEGINNING: Final = re.compile(rb"[0-9a-k]:?")
_FIELD_STARTS: Final = (b"data:", b"event:", b"id:", b"retry:")

_BY_CONTENT_TYPE: Final[dict[str, Callable[[], Framing]]] = {
    "text/event-stream": SSEFraming,
    "application/vnd.amazon.eventstream": EventStreamFraming,
    "application/x-ndjson": NDJSONFraming,
    "application/ndjson": NDJSONFraming,
    "application/jsonl": NDJSONFraming,
    "application/x-jsonlines": NDJSONFraming,
    "application/jsonlines": NDJSONFraming,
    "application/stream+json": NDJSONFraming,
}

STREAMING_TYPES: Final = frozenset({*_BY_CONTENT_TYPE, "application/json-seq"})
"""The media types that are sent piece by piece, in lower case and without parameters."""


def media_type_of(content_type: str | None) -> str:
    """Return a content type without its parameters, in lower case; empty for none."""
    return (content_type or "").partition(";")[0].strip().lower()


class UndecidedFraming:
    """Holds the first bytes back until they tell the framing, then hands over to it.

    content_type: of the response, if known. Its word is taken for a framing it names, unless the body
        starts like a document; `application/json` and `text/plain` are used for everything and say nothing.
    from_text: the chunks were strings, whose boundaries may mean something (one token each).
    """

    __slots__ = ("_from_text", "_held", "_named", "_size", "chosen")

    def __init__(self, content_type: str | None = None, *, from_text: bool = False) -> None:
        self._named = _BY_CONTENT_TYPE.get(media_type_of(content_type))
        self._from_text = from_text
        self._held: list[bytes] = []
        self._size = 0
        self.chosen: Framing | None = None

    def feed(self, data: bytes) -> Sequence[Framed]:
        """Return the wire events that `data` completes; none as long as the framing is open."""
        pieces = self.offer(data)
        return [event for piece in pieces for event in self._fed(piece)]

    def flush(self) -> Sequence[Framed]:
        """Return what the end of the stream completes."""
        framed = [event for piece in self.release() for event in self._fed(piece)]
        if self.chosen is not None:
            framed += self.chosen.flush()
        return framed

    def offer(self, data: bytes) -> Sequence[bytes]:
        """Return what is to be fed to the framing, now that `data` came; nothing as long as it is open.

        As many pieces as were offered since the beginning, or all of them joined.
        """
        if self.chosen is not None:
            return (data,)
        if not data and not self._held:
            return ()
        self._held.append(data)
        self._size += len(data)
        framing = self._choose(b"".join(self._held))
        if framing is None and self._size > MAX_UNDECIDED_BYTES:
            framing = PlainFraming()
        return () if framing is None else self._hand_over(framing)

    def release(self) -> Sequence[bytes]:
        """Choose a framing at the end of the stream; return what is still to be fed to it."""
        if self.chosen is not None:
            return ()
        return self._hand_over(self._choose(b"".join(self._held), at_end=True) or PlainFraming())

    def _fed(self, piece: bytes) -> Sequence[Framed]:
        assert self.chosen is not None
        return self.chosen.feed(piece)

    def _hand_over(self, framing: Framing) -> list[bytes]:
        self.chosen = framing
        held, self._held = self._held, []
        if held and not isinstance(framing, PlainFraming) and held[0][:1] != b":":
            held = [b"".join(held)]  # pieces too small to tell anything are no lines; a comment may be one
        return held

    def _choose(self, head: bytes, *, at_end: bool = False) -> Framing | None:
        if head[:1] == b"\0":
            if len(head) < PRELUDE_BYTES:
                return EventStreamFraming() if at_end else None
            return (
                EventStreamFraming()
                if is_prelude(head) or self._named is EventStreamFraming
                else PlainFraming()
            )
        if head and _BOM.startswith(head) and not at_end:
            return None
        body = head.removeprefix(_BOM).lstrip(_BLANKS)
        if not body:
            return None
        if self._named is NDJSONFraming:
            return NDJSONFraming()
        if body[:1] in (b"{", b"["):
            return self._choose_by_document(body, at_end=at_end)
        if self._named is not None:
            return self._named()
        if _FIELD.match(body):
            if self._from_text and body[:1] == b":" and b"\n" not in body:
                # A comment without its line end, or a token that is a colon: the next chunk tells.
                if len(self._held) == 1 and not at_end:
                    return None
                if self._held[-1] and not _FIELD.match(self._held[-1]):
                    return PlainFraming()
            return _lines_or(SSEFraming(), body)
        if _VERCEL_LINE.match(body):
            return NDJSONFraming()  # a letter, a colon, and then JSON after all
        if not at_end and not self._from_text and _VERCEL_BEGINNING.fullmatch(body):
            return None
        if not at_end and any(field.startswith(body) for field in _FIELD_STARTS):
            return None
        return PlainFraming()

    def _choose_by_document(self, body: bytes, *, at_end: bool) -> Framing | None:
        inside = body[1:].lstrip(_BLANKS)
        if self._from_text:
            # A model that writes JSON sends such tokens too: only a whole document is taken for one.
            first_line = body.partition(b"\n")[0]
            if not is_document(first_line):
                return PlainFraming()
        elif not inside:
            return NDJSONFraming() if at_end else None
        if body[:1] == b"[":
            return JSONArrayFraming() if inside[:1] in (b"{", b"[", b'"', b"]") else PlainFraming()
        if b"\n" in body[1 : len(body) - len(inside)]:
            return JSONArrayFraming(documents=True)
        return _lines_or(NDJSONFraming(), body) if inside[:1] in (b'"', b"}") else PlainFraming()


def _lines_or(framing: Framing, head: bytes) -> Framing:
    """Return `framing`, made ready for lines without ends as long as none has been seen."""
    return framing if b"\n" in head or b"\r" in head else LineChunks(framing)

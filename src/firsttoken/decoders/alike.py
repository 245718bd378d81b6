"""Chunks that are the last one again with another text, known without decoding. Floor 2 (think).

Most events of an answer differ in one string alone. Where one was decoded as one piece of text, the bytes
before and after that text make a frame; what fits the frame says the same thing with another text.

Cost: about a fifth of decoding it; tests/bench/bench_decoders.py, row "alike but for their text".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from firsttoken.decoders._delta import Delta, Reasoning, Text
from firsttoken.decoders.sse import SSEFraming

#: Whether what stands between the quotes of a JSON string is the text itself, without an escape. A longer
#: one is left to the framing, which may find it too long.
_is_plain: Final = re.compile(rb'[^"\\\x00-\x1f]{1,1048576}').fullmatch
#: How many frames in a row may fit nothing before we give up: events with counters or times in them.
_MAX_MISFITS: Final = 8
_ONE_EVENT: Final = re.compile(rb"(?:data|event):[^\r\n]*(?:\r?\n[^\r\n]+)*(\r?\n){2}")


class Frame:
    """What the last text event of a stream looks like around its text.

    `learn` is told every event that was decoded alone, `skim` looks at what follows it.

    framing: cuts the events; a frame is of one that began and ended between two.
    """

    __slots__ = ("_after", "_before", "_delta", "_event", "_misfits", "framing")

    def __init__(self, framing: SSEFraming) -> None:
        self.framing = framing
        self._event: bytes | None = None
        self._delta: Delta | None = None
        self._before: bytes | None = None
        self._after = b""
        self._misfits = 0

    def learn(self, event: bytes, deltas: Sequence[Delta]) -> None:
        """Note a chunk that was one whole wire event, and what it said."""
        self._before = None
        if len(deltas) == 1 and type(deltas[0]) in (Text, Reasoning) and self._misfits < _MAX_MISFITS:
            self._event, self._delta = event, deltas[0]
        else:
            self._event = None

    def forget(self) -> None:
        """Note that something came that is no whole wire event by itself."""
        self._event = self._before = None

    def skim(self, chunks: Sequence[Any], begin: int) -> int:
        """Return the index of the first chunk, from `begin` on, that is not like the last one."""
        if self._before is None and not self._draw():
            return begin
        before, after = self._before, self._after
        assert before is not None
        size, rest = len(before), len(after)
        index = begin
        for index in range(begin, len(chunks)):
            chunk = chunks[index]
            if (
                type(chunk) is not bytes
                or not chunk.startswith(before)
                or not chunk.endswith(after)
                or not _is_plain(chunk, size, len(chunk) - rest)
            ):
                break
        else:
            index = len(chunks)
        self._misfits = 0 if index > begin else self._misfits + 1
        return index

    def _draw(self) -> bool:
        """Make the frame of the last event; return whether it has one."""
        event, delta, self._event = self._event, self._delta, None
        if event is None or b"\\" in event or not _ONE_EVENT.fullmatch(event):
            return False
        # Without an escape in it, the event has its text as it is: once, or we do not know which one it is.
        quoted = b'"%s"' % delta.text.encode("utf-8", "replace")  # type: ignore[union-attr]  # see `learn`
        at = event.find(quoted)
        if len(quoted) == 2 or at < 0 or event.find(quoted, at + 1) >= 0:
            self._misfits += 1
            return False
        self._before, self._after = event[: at + 1], event[at + len(quoted) - 1 :]
        return True

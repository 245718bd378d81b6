"""Vercel AI SDK, the data stream (before version 5). Floor 2 (think); thinker thread.

Hosts: one's own. `text/plain` of lines `0:"text"`, a letter before a JSON value, with the header
`x-vercel-ai-data-stream: v1`. Ends with `d`, the finish of the message. `e` is that of one step, whose
tokens `d` counts again.

Source: https://v4.ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, Reasoning, StreamError, Text
from firsttoken.decoders._payload import UNREADABLE, Window, parse_json
from firsttoken.decoders.formats.vercel import Calls, TokenUsage, read_usage


class _Part(Struct, gc=False, rename="camel"):
    message_id: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    args_text_delta: str | None = None
    args: Any = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None


_WINDOW: Final = Window(_Part)
_LETTERS: Final = b"0123456789abcdefghijk"


def is_vercel_data(line: bytes) -> bool:
    """Tell whether a line is one of this format: a letter or digit, a colon, a JSON value."""
    return line[:1] in _LETTERS and line[1:2] == b":" and line[2:3] in (b'"', b"[", b"{")


class VercelData:
    """Reads the lines of a data stream."""

    name = "vercel.data"
    provider: str | None = None
    has_done = True
    has_finish = True

    def __init__(self) -> None:
        self._calls = Calls()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one line.

        Cost: tests/bench/bench_decoders.py, row "ndjson + vercel.data".
        """
        if type(payload) is not WireEvent:
            return UNREADABLE
        letter, colon, value = payload.data.partition(b":")
        if not colon or len(letter) != 1:
            return UNREADABLE if payload.data else ()
        wording = _WORDINGS.get(letter)
        if wording is not None:
            text = _string_in(value)
            return UNREADABLE if text is None else wording(text)
        if letter not in _PARTS:
            return ()
        part = _WINDOW.read(value)
        return UNREADABLE if part is None else self._read_part(letter, part)

    def _read_part(self, letter: bytes, part: _Part) -> Sequence[Delta]:
        if letter == b"c":
            return (self._calls.piece(part.tool_call_id, part.args_text_delta),)
        if letter == b"b":
            return (self._calls.start(part.tool_call_id, part.tool_name),)
        if letter == b"9":
            return self._calls.whole(part.tool_call_id, part.tool_name, part.args)
        if letter == b"f":
            return (Identity(id=part.message_id),) if part.message_id else ()
        deltas: list[Delta] = []
        read_usage(part.usage, deltas)
        if part.finish_reason:
            deltas.append(Finish(part.finish_reason))
        return [*deltas, Done("d")]


_PARTS: Final = frozenset((b"9", b"b", b"c", b"d", b"f"))
_WORDINGS: Final[dict[bytes, Callable[[str], Sequence[Delta]]]] = {
    b"0": lambda text: (Text(text),) if text else (),
    b"g": lambda text: (Reasoning(text),) if text else (),
    b"3": lambda text: (StreamError(message=text),),
}


def _string_in(value: bytes) -> str | None:
    try:
        text = parse_json(value)
    except (ValueError, RecursionError):
        return None
    return text if isinstance(text, str) else None

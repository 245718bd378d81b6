"""`decoder_for`: from what a caller says about a stream to what reads it. Floor 2 (think); any thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast, get_args

from firsttoken._guard import note_fault
from firsttoken.decoders import table
from firsttoken.decoders._contract import Decoder, DecoderFactory, Format
from firsttoken.decoders._delta import Delta, Undecoded
from firsttoken.decoders.chunks import ChunkDecoder
from firsttoken.errors import ConfigError

_DELTAS: Final = frozenset(get_args(Delta))

Hint = str | Decoder | Format | DecoderFactory | Callable[[Any], Iterable[Delta]] | None


class CallableDecoder:
    """Reads a stream with a caller's function: chunk -> deltas. What it raises is one `Undecoded`.

    So is whatever it returns that is no delta, a string for one: see `firsttoken.decoders.Text`.
    """

    has_done = False
    has_finish = False
    provider: str | None = None

    def __init__(self, function: Callable[[Any], Iterable[Delta]]) -> None:
        self._function = function

    def feed(self, chunk: Any) -> Sequence[Delta]:
        """Return the deltas the function makes of `chunk`."""
        try:
            deltas = tuple(self._function(chunk) or ())
        except Exception as fault:
            note_fault("ask the decoder function about a chunk", fault)
            return (Undecoded(f"the decoder function raised {type(fault).__name__}"),)
        if all(type(delta) in _DELTAS for delta in deltas):
            return deltas
        error = TypeError("a decoder function returns deltas, see firsttoken.decoders")
        note_fault("take what the decoder function returned", error)
        return (Undecoded("the decoder function returned no deltas"),)

    def flush(self) -> Sequence[Delta]:
        """Return nothing: a function keeps nothing back."""
        return ()


def decoder_for(
    hint: Hint = None,
    *,
    content_type: str | None = None,
    host: str | None = None,
    content_encoding: str | None = None,
) -> Decoder:
    """Return the decoder of one stream.

    hint: None to find out from the chunks; the name of a format; a `Decoder`, taken as it is; a `Format`;
        what makes either when called without arguments; or a function from a chunk to its deltas.
    content_type, content_encoding: of the response, where the chunks are its bytes.
    host: that sent it, with or without a port.

    Raises:
        ConfigError: if `hint` is none of these.
    """

    def reading(reader: Format | None) -> Decoder:
        return ChunkDecoder(reader, content_type=content_type, host=host, content_encoding=content_encoding)

    if hint is None:
        return reading(None)
    if isinstance(hint, str):
        return reading(table.row_named(hint).factory())
    made: Any = cast("Callable[[], Any]", hint)() if _needs_no_argument(hint) else hint
    if callable(getattr(made, "feed", None)) and callable(getattr(made, "flush", None)):
        return cast("Decoder", made)
    if callable(getattr(made, "read", None)):
        return reading(made)
    if callable(made) and made is hint and not isinstance(hint, type):
        return CallableDecoder(hint)
    raise ConfigError(
        f"decoder {hint!r} is no Decoder, Format, factory of one, function of a chunk, or format name; "
        f"names are: {', '.join(table.formats())}"
    )


def _needs_no_argument(hint: Any) -> bool:
    """Return whether `hint` is a factory: something callable that asks for nothing."""
    if not callable(hint) or (hasattr(hint, "feed") and not isinstance(hint, type)):
        return False
    try:
        inspect.signature(hint).bind()
    except (TypeError, ValueError):
        return False
    return True

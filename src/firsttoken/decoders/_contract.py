"""What a decoder is. Floor 2 (think); runs on the thinker thread.

Three small promises, composed by `chunks.ChunkDecoder`:

- a *framing* cuts bytes into wire events and knows nothing of providers;
- a *format* reads one wire event, dict or SDK object and knows nothing of bytes;
- a *decoder* takes the chunks of one stream, whatever they are, and returns deltas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from firsttoken.decoders._delta import Delta, KeepAlive, Undecoded


class WireEvent(Struct, frozen=True, gc=False):
    """One event as framed on the wire: its name (`None` where the framing has none) and its payload.

    dispatched: false for what the framing's own rules do not count as an event, though a format may
        read something in it: an SSE event with a name and no data, or one cut off by the end of the stream.
    failure: true for an exception or error frame of `application/vnd.amazon.eventstream`; `name` then
        is the exception's type or the error's code.
    """

    data: bytes
    name: str | None = None
    dispatched: bool = True
    failure: bool = False


Framed = WireEvent | KeepAlive | Undecoded
"""What a framing tells: wire events, comments (`KeepAlive`), and what it had to give up (`Undecoded`)."""


class Framing(Protocol):
    """Cuts a byte stream, split anywhere, into wire events. No I/O, no clock."""

    def feed(self, data: bytes) -> Sequence[Framed]:
        """Return the wire events that `data` completes."""
        ...

    def flush(self) -> Sequence[Framed]:
        """Return what the end of the stream completes; called once, after the last `feed`."""
        ...


class Format(Protocol):
    """Reads the payloads of one provider family; one instance per stream, as formats keep state.

    `has_done` and `has_finish` say whether the format, when it ends well, ends with a done event or a
    finish reason: a stream without the one that was due was truncated.

    A format may say `verbatim = True`: an event that differs from the one before only in its one text is
    read as that one, with that text. See `alike`.
    """

    name: str
    provider: str | None
    has_done: bool
    has_finish: bool

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one payload.

        payload: a `WireEvent`, a `dict`, or an object of the provider's SDK.

        Never raises for bad input: what cannot be read is one `Undecoded`.
        """
        ...


class Decoder(Protocol):
    """Turns the chunks of one stream into deltas."""

    @property
    def has_done(self) -> bool: ...

    @property
    def has_finish(self) -> bool: ...

    @property
    def provider(self) -> str | None: ...

    def feed(self, chunk: Any) -> Sequence[Delta]:
        """Return the deltas that `chunk` completes, in wire order."""
        ...

    def flush(self) -> Sequence[Delta]:
        """Return what the end of the stream completes; called once, after the last `feed`."""
        ...


DecoderFactory = Callable[[], Decoder]

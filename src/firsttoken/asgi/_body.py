"""A response body as a stream: which ones are, and how they are read. Floor 5 (plug; ASGI).

The decoder runs on the thinker thread; everything else on the loop, once per response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._wrap.aside import AsideRequest
from firsttoken._wrap.live import LiveStream
from firsttoken.decoders import Decoder, Delta, Done, Finish, Identity, StreamError, Usage, decoder_for
from firsttoken.decoders.framing import STREAMING_TYPES, media_type_of

#: The work that our span stands for. Not an inference operation: the call to the model is told by the
#: edge that makes it.
OPERATION: Final = "http.stream"

EVENT_STREAM: Final = "text/event-stream"

#: How many of the last bodies are looked at on the loop when a stream ends, and how large they may be.
_LAST_BODIES: Final = 4
_LAST_BODY_BYTES: Final = 16_384
_MARKS_PER_BODY: Final = 3

#: What a relayed answer says about the call to the model, which is not ours to tell: counted here as
#: well, every token would be counted twice.
_CALL_FACTS: Final = frozenset({Identity, Usage})


class BodyRequest(AsideRequest):
    """A stream that is a response, of which nothing is known in the words of the GenAI conventions."""

    #: One by one, through a stock processor and encoder, each costs some 10 µs of the GIL: a quarter of
    #: what the server needs for a chunk. The timeline has all of them, as has the call's own span.
    most_span_events = 32


class BodyDecoder:
    """Reads a body for what it says of itself: content, keepalives, errors, its end.

    decoder: reads the format.
    """

    provider: str | None = None

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        #: As of `ChunkDecoder`, which everybody has but those who registered a decoder of their own.
        self.skim: Callable[[Sequence[Any], int], int] | None = getattr(decoder, "skim", None)

    @property
    def has_done(self) -> bool:
        """Whether the body, when it ends well, ends with a done event."""
        return self._decoder.has_done

    @property
    def has_finish(self) -> bool:
        """Whether the body, when it ends well, has a finish reason."""
        return self._decoder.has_finish

    def feed(self, chunk: Any) -> Sequence[Delta]:
        """Return the deltas that `chunk` completes."""
        return _own_facts(self._decoder.feed(chunk))

    def flush(self) -> Sequence[Delta]:
        """Return what the end of the body completes."""
        return _own_facts(self._decoder.flush())

    @property
    def holds(self) -> bool:
        """Whether what a chunk said waits for later ones; as of `ChunkDecoder`, like the two below."""
        return bool(getattr(self._decoder, "holds", False))

    def feed_late(self, chunk: Any) -> list[tuple[int, Sequence[Delta]]]:
        """Do as `feed`, where something is held."""
        return _each_with_own_facts(self._decoder.feed_late(chunk))  # type: ignore[attr-defined]

    def flush_late(self) -> list[tuple[int, Sequence[Delta]]]:
        """Do as `flush`, where something is held."""
        return _each_with_own_facts(self._decoder.flush_late())  # type: ignore[attr-defined]


def body_request(
    content_type: str,
    content_encoding: str | None,
    route: str | None,
    parent: Context,
    tracer_provider: TracerProvider | None,
) -> BodyRequest:
    """Return what is known of a response that streams."""
    return BodyRequest(
        operation=OPERATION,
        name=None if route is None else f"{OPERATION} {route}",
        attributes={semconv.HTTP_RESPONSE_CONTENT_TYPE: (content_type,)} if content_type else None,
        decoder=partial(_decoder, content_type, content_encoding),
        parent=parent,
        tracer_provider=tracer_provider,
    )


@lru_cache(maxsize=256)
def types_in(header: bytes) -> tuple[str, str]:
    """Return a content-type header as text, and without its parameters, in lower case."""
    content_type = header.decode("latin-1")
    return content_type, media_type_of(content_type)


def is_readable(media_type: str) -> bool:
    """Return whether a body of this type says anything that a decoder can read."""
    return media_type in STREAMING_TYPES or media_type.startswith("text/") or "json" in media_type


def reference(body: Any) -> bytes | None:
    """Return a body in a form that can be kept; None for what cannot be read later."""
    if isinstance(body, bytes):
        return body
    # The application may fill the same buffer again.
    return bytes(body) if isinstance(body, bytearray | memoryview) else None


def said_at_the_end(live: LiveStream, unsent: bytes | None) -> tuple[bool, bool]:
    """Return whether a stream that ends now said an error, and whether it said that it is complete.

    unsent: the last body, if it is not among the marks yet.

    The SERVER span ends before the thinker has seen the last bodies, and what they say is what matters
    most: they are read here, the last few, once per stream.

    Cost: about 20 µs per stream; tests/bench/bench_asgi.py.
    """
    last = [*live.record.marks[-_MARKS_PER_BODY * _LAST_BODIES :], unsent]
    decoder = live.request.decoder()
    skim = getattr(decoder, "skim", None)
    bodies = [body for body in last if isinstance(body, bytes) and 0 < len(body) <= _LAST_BODY_BYTES]
    said: set[type[Delta]] = set()
    at = 0
    while at < len(bodies):
        said.update(map(type, decoder.feed(bodies[at])))
        # What is one more text like that says neither an error nor an end.
        at = at + 1 if skim is None else skim(bodies, at + 1)
    said.update(map(type, decoder.flush()))
    return (
        live.tally.error is not None or StreamError in said,
        live.tally.said_end or not said.isdisjoint((Done, Finish)),
    )


def _decoder(content_type: str, content_encoding: str | None) -> BodyDecoder:
    return BodyDecoder(decoder_for(None, content_type=content_type, content_encoding=content_encoding))


def _own_facts(deltas: Sequence[Delta]) -> Sequence[Delta]:
    if len(deltas) == 1 and type(deltas[0]) not in _CALL_FACTS:
        return deltas
    return [delta for delta in deltas if type(delta) not in _CALL_FACTS]


def _each_with_own_facts(late: Sequence[tuple[int, Sequence[Delta]]]) -> list[tuple[int, Sequence[Delta]]]:
    return [(ago, _own_facts(deltas)) for ago, deltas in late]

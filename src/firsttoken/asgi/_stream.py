"""A response body while it streams: marked as it is pushed, not pulled. Floor 5 (plug; ASGI); on the loop.

Each body message is marked when the application hands it over and again when the server has taken it.
Waiting is for the application; the time that the server takes is the client's hold.

Cost: tests/bench/bench_asgi.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import Span

from firsttoken import semconv
from firsttoken._asgi_types import Message, Send
from firsttoken._clock import monotonic_ns
from firsttoken._guard import guarded
from firsttoken._record.record import Detail, Ending
from firsttoken._wrap.live import LiveStream
from firsttoken.asgi._body import is_readable, reference, said_at_the_end
from firsttoken.asgi._server_span import enrich

_NOTHING_SO_FAR: Final = object()


class ClientGone(BaseException):
    """Ends the record of a response whose client left; never raised."""


class BodyStream:
    """The record of one body, from its first message on.

    live: just opened.
    send: the server's.
    server_span: the request's; it is enriched when the stream ends.
    media_type: tells whether the thinker can read the body.
    """

    __slots__ = (
        "_chunk_count",
        "_first_byte_ns",
        "_is_full",
        "_live",
        "_mark",
        "_plain_type",
        "_record",
        "_said_end",
        "_said_error",
        "_send",
        "_sending",
        "_server_span",
        "_size",
        "_told",
    )

    def __init__(self, live: LiveStream, send: Send, server_span: Span | None, media_type: str) -> None:
        record = live.record
        record.begin_pulling()
        self._live = live
        self._record = record
        self._send = send
        self._server_span = server_span
        #: What can be kept as it is; None if nobody could read it.
        self._plain_type = bytes if is_readable(media_type) else None
        self._is_full = record.detail is Detail.FULL
        self._mark: Callable[[Any], None] = record.marks.append
        #: The message that the server has not taken yet, if any.
        self._sending: object = _NOTHING_SO_FAR
        self._chunk_count = 0
        self._size = 0
        self._first_byte_ns: int | None = None
        self._said_error = self._said_end = False
        self._told: Ending | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether anybody will look: a stream that is not sampled is left alone."""
        return self._record.detail is not Detail.NOTHING

    @property
    def is_over(self) -> bool:
        """Whether it is known how it ended."""
        return self._record.ending is not None

    @property
    def is_cancelled(self) -> bool:
        """Whether it ended because the client left, or the request was cancelled."""
        return self._record.ending is Ending.CANCELLED

    async def send(self, message: Message) -> None:
        """Send a body message, marking when it came and when the server had taken it."""
        body = message.get("body")
        if not body:
            await self._send_empty(message)
            return
        now = monotonic_ns()
        if self._sending is not None:
            self._begin_unlike_most(now)
        self._sending = message
        self._chunk_count += 1
        self._size += len(body)
        mark = self._mark
        mark(now)
        mark(body if type(body) is self._plain_type else self._kept(body))
        try:
            await self._send(message)
        except OSError:
            # How servers say, since ASGI 2.4, that the client is gone.
            self.end(ClientGone())
            raise
        if self._sending is message:
            self._sending = None
            if self._is_full:
                self._mark(monotonic_ns())

    async def _send_empty(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self.end(ClientGone())
            raise

    def completes(self, body: Any, *, is_failing: bool) -> None:
        """Put on the SERVER span that the last message is about to be sent, after which it may be over.

        body: of that message, if it has one; `send` counts and marks it.
        is_failing: an exception may be on its way: it failed, unless `body` says that it is complete.
        """
        if self._record.ending is None:
            self._tell(Ending.RAISED if is_failing else Ending.EXHAUSTED, body or b"")

    def end(self, error: BaseException | None) -> None:
        """Note how the stream ended, as `StreamRecord.end` does; only the first call counts."""
        record = self._record
        if record.ending is None:
            # What is still sent is no part of it, and nobody would take the marks away.
            self._mark = _nothing
            self._live.learn({semconv.BODY_SIZE: self._size})
            record.end(error)
            if record.ending is not None:
                self._tell(record.ending)

    def _begin_unlike_most(self, now_ns: int) -> None:
        if self._sending is _NOTHING_SO_FAR:
            self._first_byte_ns = now_ns - self._record.issued_ns
        elif self._is_full:
            # Another task is still sending (keepalives do that): for the stream, that hold ends here.
            self._mark(now_ns)

    def _kept(self, body: Any) -> bytes | None:
        return None if self._plain_type is None else reference(body)

    def _tell(self, ending: Ending, unsent: Any = b"") -> None:
        if ending is self._told or self._server_span is None or not self._server_span.is_recording():
            return
        with guarded("enrich the SERVER span"):
            first_byte_ns = self._first_byte_ns
            if unsent and self._sending is _NOTHING_SO_FAR:
                first_byte_ns = monotonic_ns() - self._record.issued_ns
            said_error, said_end = said_at_the_end(self._live, self._kept(unsent))
            # What was said stays said, although the thinker may just be reading it.
            self._said_error |= said_error
            self._said_end |= said_end
            if unsent and self._said_end:
                # Who ends the body of a generator that failed has nothing more to say.
                ending = Ending.EXHAUSTED
            self._told = ending
            enrich(
                self._server_span,
                ending=ending,
                said_error=self._said_error,
                said_end=self._said_end,
                error_type=self._record.error_type,
                chunk_count=self._chunk_count + bool(unsent),
                size=self._size + len(unsent),
                first_byte_ns=first_byte_ns,
            )


def _nothing(_: Any) -> None:
    return None

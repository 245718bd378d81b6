"""One traced stream, from its first pull until it is told. Floor 4 (wrap).

`begin` runs on the user's thread, once. Everything else runs on the thinker thread, or on the thread of
somebody who asks for the summary early; a lock keeps the two apart, and recording never takes it.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, TracerProvider

from firsttoken import semconv
from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded, is_fault, note_fault
from firsttoken._record.record import StreamRecord
from firsttoken._settings import Settings
from firsttoken._tell.emit import Finished, output_messages
from firsttoken._think.chunk_events import ChunkEvents
from firsttoken._think.tally import Tally
from firsttoken._think.timeline import encode_timeline
from firsttoken.decoders import Decoder, DecoderFactory, decoder_for
from firsttoken.summary import Block, StreamSummary, summarize

#: How long a stream may go on after its done event before it is told: usage may follow (Bedrock).
LINGER_NS: Final = 50_000_000
#: How long an ended stream waits for the news whether its event loop was blocked.
SETTLE_NS: Final = 250_000_000

#: Bytes are decoded in pieces of this size: a bigger one would hold the GIL for over a millisecond.
LONGEST_BYTES: Final = 65_536

Breathe = Callable[[], None]


@dataclass(frozen=True)
class Request:
    """What the caller said about a stream."""

    operation: str = "chat"
    name: str | None = None
    provider: str | None = None
    model: str | None = None
    attributes: Mapping[str, Any] | None = None
    decoder: DecoderFactory = decoder_for
    done: Callable[[Any], bool] | None = None
    parent: Context | None = None
    tracer_provider: TracerProvider | None = None

    @property
    def span_name(self) -> str:
        """`{operation} {model}`, unless the caller named it."""
        return self.name or " ".join(filter(None, (self.operation, self.model)))

    @property
    def start_attributes(self) -> dict[str, Any]:
        """What is known before the response."""
        known = {
            semconv.OPERATION_NAME: self.operation,
            semconv.PROVIDER_NAME: self.provider,
            semconv.REQUEST_MODEL: self.model,
            semconv.REQUEST_STREAM: True,
            **(self.attributes or {}),
        }
        return {key: value for key, value in known.items() if value is not None}


class LiveStream:
    """A stream between its record and its telling."""

    __slots__ = (
        "__weakref__",
        "_blocks",
        "_decoder",
        "_lock",
        "_settled",
        "concluded",
        "finished",
        "handed_on",
        "learned",
        "leave",
        "provider",
        "record",
        "request",
        "settings",
        "span",
        "tally",
    )

    def __init__(self, request: Request, settings: Settings, record: StreamRecord) -> None:
        self.request = request
        self.record = record
        self.span: Span | None = None
        self.provider: TracerProvider | None = None
        self.tally = Tally(
            record,
            int(settings.stall_threshold_s * NS_PER_S),
            capture=settings.captures_on_span or settings.captures_on_events,
        )
        #: Whether it is over for us, and what came of it; a fault of ours leaves nothing but the fact.
        self.concluded = False
        self.finished: Finished | None = None
        #: Whether it went to the teller; the thinker's own note.
        self.handed_on = False
        #: Attributes that came to light while it ran, from a layer below.
        self.learned: dict[str, Any] = {}
        self.leave: Callable[[], None] = _nothing
        self._settled: Callable[[int], bool] = _always
        self._blocks: Callable[[int, int], list[Block]] = _none
        self._decoder: Decoder | None = None
        self._lock = threading.Lock()
        self.settings = settings

    def watch_loop(
        self,
        settled: Callable[[int], bool],
        blocks: Callable[[int, int], list[Block]],
        leave: Callable[[], None],
    ) -> None:
        """Say whom to ask about the stream's event loop.

        settled: whether every loop block that began before a time is known.
        blocks: the ones that overlap a span of time.
        leave: called once the stream is concluded.
        """
        self._settled = settled
        self._blocks = blocks
        self.leave = leave

    def learn(self, attributes: Mapping[str, Any]) -> None:
        """Note request facts that a layer below can see; what the caller said itself stands."""
        said = self.request.start_attributes
        self.learned.update((key, value) for key, value in attributes.items() if key not in said)

    def sweep(self, breathe: Breathe, *, hurry: bool = False) -> bool:
        """Take in what was recorded since the last sweep; return whether the stream can be told.

        hurry: tell an ended stream now, even if a loop block may still come to light.
        """
        with self._lock:
            if self.concluded:
                self.record.take()
                return True
            # Looked at before the marks are taken: an end that is seen has all its marks in place.
            ended = self.record.ending is not None
            self._take_in(breathe)
            if not (ended or self._lingers()):
                return False
            if not hurry and not self._is_settled():
                return False
            self._conclude(breathe)
            return True

    def conclude(self, breathe: Breathe) -> None:
        """Tell the stream as it is, ended or not; used when the process shuts down."""
        with self._lock:
            if self.concluded:
                self.record.take()
                return
            self._take_in(breathe)
            self._conclude(breathe)

    @property
    def summary(self) -> StreamSummary | None:
        """The stream told whole, once it ended; None before, or if nobody samples it."""
        if not self.concluded and self.record.ending is not None and self.record.detail:
            self.sweep(_nothing, hurry=True)
        return None if self.finished is None else self.finished.summary

    @property
    def is_over(self) -> bool:
        """Whether no further mark will come."""
        return self.record.ending is not None

    # --- under the lock ----------------------------------------------------------------------------

    def _take_in(self, breathe: Breathe) -> None:
        first, chunks = self.tally.take(self.record.take())
        for index, chunk in enumerate(chunks, first):
            if type(chunk) is bytes and len(chunk) > LONGEST_BYTES:
                for begin in range(0, len(chunk), LONGEST_BYTES):
                    self._decode(index, chunk[begin : begin + LONGEST_BYTES])
                    breathe()
            else:
                self._decode(index, chunk)
            if self.request.done is not None:
                self._ask_done(index, chunk)
            breathe()

    def _decode(self, index: int, chunk: Any) -> None:
        try:
            if self._decoder is None:
                self._decoder = self.request.decoder()
            deltas = self._decoder.feed(chunk)
            if deltas:
                self.tally.read(index, deltas)
        except BaseException as error:
            if not is_fault(error):
                raise
            self.tally.undecoded_count += 1
            note_fault("decode a chunk", error)

    def _ask_done(self, index: int, chunk: Any) -> None:
        done = self.request.done
        assert done is not None
        try:
            if done(chunk):
                self.tally.note_done(index, "done")
        except BaseException as error:
            if not is_fault(error):
                raise
            note_fault("ask `done` about a chunk", error)

    def _lingers(self) -> bool:
        done_ns = self.tally.done_ns
        return done_ns is not None and monotonic_ns() - done_ns >= LINGER_NS

    def _is_settled(self) -> bool:
        ended_ns = self.tally.ended_ns
        return self._settled(ended_ns) or monotonic_ns() - ended_ns >= SETTLE_NS

    def _conclude(self, breathe: Breathe) -> None:
        # Set first: a stream that cannot be summarized is told by its span's end alone, and only once.
        self.concluded = True
        with guarded("summarize a stream"):
            self._flush_decoder()
            breathe()
            self.finished = self._finish(breathe)

    def _flush_decoder(self) -> None:
        tally, decoder = self.tally, self._decoder
        if decoder is None or not tally.arrivals or self.record.ending is None:
            return
        with guarded("decode the end of a stream"):
            tally.read(len(tally.arrivals) - 1, decoder.flush())

    def _finish(self, breathe: Breathe) -> Finished:
        tally, record, request, decoder = self.tally, self.record, self.request, self._decoder
        summary = summarize(
            record,
            tally,
            operation=request.operation,
            provider=request.provider or (decoder.provider if decoder else None),
            model=request.model,
            has_done=decoder is not None and decoder.has_done,
            has_finish=decoder is not None and decoder.has_finish,
            blocks=self._blocks(record.issued_ns, tally.ended_ns),
        )
        breathe()
        timeline = encode_timeline(tally.arrivals, record.issued_ns, breathe)
        return Finished(summary, self._chunk_events(breathe), timeline, self._messages())

    def _messages(self) -> str | None:
        """Return the captured answer for the span; None if there is none, or it could not be redacted."""
        spoken = self.tally.spoken
        if not self.settings.captures_on_span or not spoken:
            return None
        texts = self._redacted(["".join(pieces) for pieces in spoken.values()])
        if texts is None:
            return None
        return output_messages(dict(zip(spoken, texts, strict=True)), self.tally.finishes)

    def _redacted(self, texts: list[str]) -> list[str] | None:
        redact = self.settings.redact
        if redact is None:
            return texts
        with guarded("redact captured text"):
            return [redact(text) for text in texts]
        return None

    def _chunk_events(self, breathe: Breathe) -> ChunkEvents:
        texts = None
        if self.settings.captures_on_events and self.tally.captured is not None:
            texts = self._redacted(self.tally.captured)
        events = ChunkEvents(self.tally.arrivals, texts=texts).coalesced(self.settings.max_events, breathe)
        offset_ns = self.record.wall_offset_ns
        shifted = array("q", [time_ns + offset_ns for time_ns in events.times_ns])
        return ChunkEvents(shifted, events.sequences, events.gaps_ns, events.counts, events.texts)


def _always(_: int) -> bool:
    return True


def _none(_: int, __: int) -> list[Block]:
    return []


def _nothing() -> None:
    return None

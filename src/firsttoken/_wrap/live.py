"""One traced stream, from its first pull until it is told. Floor 4 (wrap).

`begin` runs on the user's thread, once. Everything else runs on the thinker thread, or on the thread of
somebody who asks for the summary early; a lock keeps the two apart, and recording never takes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import Span, TracerProvider

from firsttoken import semconv
from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded
from firsttoken._record.record import StreamRecord
from firsttoken._settings import Settings
from firsttoken._tell.emit import Finished, output_messages
from firsttoken._tell.feeds import Feed, forget_told, stream_layer
from firsttoken._think.blame import Claim, Layer
from firsttoken._think.chunk_events import ChunkEvents
from firsttoken._think.tally import Tally
from firsttoken._think.timeline import encode_timeline
from firsttoken._wrap.reader import Reader
from firsttoken._wrap.request import Request
from firsttoken.summary import Block, StreamSummary, summarize

#: How long a stream may go on after its done event before it is told: usage may follow (Bedrock).
LINGER_NS: Final = 50_000_000
#: ... and how long at most, if its event loop stands still meanwhile.
LONGEST_LINGER_NS: Final = 5_000_000_000
#: How long an ended stream waits for the news whether its event loop was blocked: some ms, but as long as a
#: block lasts if it ended inside of one.
SETTLE_NS: Final = 30_000_000_000

Breathe = Callable[[], None]


def _nothing() -> None:
    return None


class LiveStream:
    """A stream between its record and its telling.

    breathe: called between pieces of work that a stream above asks for; may give the GIL away.
    """

    __slots__ = (
        "__weakref__",
        "_blocks",
        "_breathe",
        "_lock",
        "_reader",
        "_settled",
        "concluded",
        "feeds",
        "finished",
        "handed_on",
        "learned",
        "leave",
        "noted",
        "provider",
        "record",
        "request",
        "settings",
        "span",
        "tally",
    )

    def __init__(
        self, request: Request, settings: Settings, record: StreamRecord, breathe: Breathe = _nothing
    ) -> None:
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
        #: The streams it pulls, and stretches of time whose cause it knows.
        self.feeds: list[Feed] = []
        self.noted: list[Claim] = []
        self.leave: Callable[[], None] = _nothing
        self._settled: Callable[[int], bool] = _always
        self._blocks: Callable[[int, int], list[Block]] = _none
        self._reader = Reader(record, self.tally, request.decoder, request.done)
        self._lock = threading.Lock()
        self._breathe = breathe
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
        request = self.request
        attributes = request.learnable(attributes)
        said = request.start_attributes
        self.learned.update((key, value) for key, value in attributes.items() if key not in said)
        model = request.model or attributes.get(semconv.REQUEST_MODEL)
        provider = request.provider or attributes.get(semconv.PROVIDER_NAME)
        if (model, provider) != (request.model, request.provider):
            self.request = replace(request, model=model, provider=provider)
            if self.span is not None:
                self.span.update_name(self.request.span_name)

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
            if not self._take_in(breathe, ended=ended) or not (ended or self._lingers()):
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
            self._take_in(breathe, ended=True)
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

    @property
    def lived_ns(self) -> tuple[int, int | None]:
        """When it was issued and when it was over, on the monotonic clock; None while it goes on."""
        return self.record.issued_ns, self.record.ended_ns

    def layer(self, begin_ns: int, end_ns: int) -> Layer:
        """Return what it and those below it did between two monotonic times (ns), for the stream above."""
        # Locks are taken from above to below, in the order the streams began: never in a circle.
        with self._lock:
            self._take_in(self._breathe, ended=self.is_over)
            return self._layer(begin_ns, end_ns)

    # --- under the lock ----------------------------------------------------------------------------

    def _layer(self, *window: int) -> Layer:
        name, operation = self.request.span_name, self.request.operation
        return stream_layer(name, operation, self.record, self.tally, self.feeds, self.noted, *window)

    def _take_in(self, breathe: Breathe, *, ended: bool) -> bool:
        # A transport learns only from the response which decoder its body needs.
        self._reader.make_decoder = self.request.decoder
        done = self._reader.read(breathe, ended=ended)
        forget_told(self.feeds, self.tally)
        return done

    def _lingers(self) -> bool:
        done_ns = self.tally.done_ns
        if done_ns is None:
            return False
        # While its event loop is blocked nothing can follow, so that time does not count.
        waited_ns = monotonic_ns() - done_ns
        return waited_ns >= LINGER_NS and (
            self._settled(done_ns + LINGER_NS) or waited_ns >= LONGEST_LINGER_NS
        )

    def _is_settled(self) -> bool:
        ended_ns = self.tally.ended_ns
        return self._settled(ended_ns) or monotonic_ns() - ended_ns >= SETTLE_NS

    def _conclude(self, breathe: Breathe) -> None:
        # Set first: a stream that cannot be summarized is told by its span's end alone, and only once.
        self.concluded = True
        with guarded("summarize a stream"):
            if self.record.ending is not None:
                self._reader.flush()
            breathe()
            self.finished = self._finish(breathe)

    def _finish(self, breathe: Breathe) -> Finished:
        tally, record, request, decoder = self.tally, self.record, self.request, self._reader.decoder
        summary = summarize(
            record,
            tally,
            operation=request.operation,
            provider=request.provider or (decoder.provider if decoder else None),
            model=request.model,
            has_done=decoder is not None and decoder.has_done,
            has_finish=decoder is not None and decoder.has_finish,
            layer_in=self._layer,
            blocks=self._blocks(record.issued_ns, tally.ended_ns),
        )
        name = request.name_after(summary.response_model)
        if name is not None and self.span is not None:
            self.span.update_name(name)
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
        return events.shifted(self.record.wall_offset_ns)


def _always(_: int) -> bool:
    return True


def _none(_: int, __: int) -> list[Block]:
    return []

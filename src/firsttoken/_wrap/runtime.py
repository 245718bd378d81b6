"""Where recording, thinking and telling are joined. Floor 4 (wrap).

Two threads, each started when it is needed: the *thinker* sweeps live streams and decodes, the *teller*
ends their spans. Ending a span runs whatever span processors the user has, and those may block; apart, a
stuck collector holds up neither the decoding nor the memory of live streams. Ours never block: where there
are no others the thinker tells by itself, and a busy event loop has one thread less to make room for.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

from firsttoken import semconv
from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import guarded
from firsttoken._record.record import Detail, StreamRecord
from firsttoken._record.worker import Worker, remaining_s
from firsttoken._settings import Settings
from firsttoken._tell.context import current_context_var, inference_context
from firsttoken._tell.emit import carrier_for, tell
from firsttoken._tell.feeds import begin_feeding, pulling
from firsttoken._tell.metrics import StreamMetrics
from firsttoken._version import __version__
from firsttoken._wrap import process
from firsttoken._wrap.live import Breathe, LiveStream
from firsttoken._wrap.providers import Providers
from firsttoken._wrap.request import Request
from firsttoken.blocking import LoopMonitor, remember_stalls, watchdog

#: Live streams are looked at this often. Each time costs a busy event loop more than what is done in it.
SWEEP_S: Final = 0.1
#: How many finished streams may wait for a teller that is stuck in somebody's span processor.
MAX_UNTOLD: Final = 4096


class Runtime:
    """The machinery behind `trace_stream`: one is made on demand, or pass your own.

    settings: see `Settings`.
    tracer_provider, meter_provider: the global ones, as they are when a stream begins, if not given.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._providers = Providers()
        self._span_lock = threading.RLock()
        self._refused = 0
        self._live: dict[int, LiveStream] = {}
        self._inherited: list[StreamRecord] = []
        self._closing = False
        self._context_var = current_context_var()
        self._thinker = Worker("firsttoken-thinker", self._sweep, woken=watchdog.glance)
        self._teller = Worker("firsttoken-teller", self._tell_all, capacity=MAX_UNTOLD)
        self.configure(settings or Settings(), tracer_provider, meter_provider)
        process.register(self)

    def configure(
        self,
        settings: Settings,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Change the choices for streams that are opened from now on."""
        self.settings = settings
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._metrics: tuple[MeterProvider, StreamMetrics] | None = None
        # Live streams still ask the monitor they began with; it rests once the last of them is told.
        self._monitor: LoopMonitor | None = None
        if (threshold_s := settings.block_threshold_s) is not None:
            paths = settings.user_paths
            self._monitor = LoopMonitor(threshold_s, user_paths=paths, meter_provider=meter_provider)

    # --- on the user's thread ----------------------------------------------------------------------

    def open(self, request: Request, issued_ns: int | None = None) -> LiveStream:
        """Return a stream that will begin at its first pull.

        issued_ns: when its request was issued, on the monotonic clock; now, if not given.
        """
        record = StreamRecord(lambda _: self._begin(live), self._context_var, issued_ns)
        live = LiveStream(request, self.settings, record, self._breathe)
        return live

    def _breathe(self) -> None:
        # Whoever asks for a summary early is not ours to put to sleep.
        if self._thinker.is_current:
            self._thinker.breathe()

    def start_span(self, live: LiveStream) -> Span:
        """Return the stream's span; it starts at its first pull, or when somebody asks for its ids."""
        # Two threads may ask at once: one for the ids, one for the first chunk.
        with self._span_lock:
            if live.span is None:
                live.span = trace.INVALID_SPAN
                with guarded("start a span"):
                    live.span = self._new_span(live)
            return live.span

    def _new_span(self, live: LiveStream) -> Span:
        request, record = live.request, live.record
        is_call = request.operation in semconv.INFERENCE_OPERATIONS
        live.provider = request.tracer_provider or self._tracer_provider or trace.get_tracer_provider()
        return self.tracer(live.provider).start_span(
            request.span_name,
            context=request.parent,
            kind=SpanKind.CLIENT if is_call else SpanKind.INTERNAL,
            attributes=request.start_attributes,
            start_time=record.issued_ns + record.wall_offset_ns,
        )

    def _begin(self, live: LiveStream) -> None:
        record = live.record
        if not self._thinker.accepts:
            # Nobody would take the marks away: better no record than one that grows for ever.
            self._refused += 1
            return
        span = self.start_span(live)
        # Whoever sends the request in this context is told that the call is told already, sampled or not.
        record.context = inference_context(span, live.request.parent, live.request.operation, live)
        recording = span.is_recording()
        if not recording and not live.settings.measure_unsampled:
            return
        if not self._thinker.put(live, at_once=False):
            # Another thread was faster; a span that nobody tells is at least ended.
            span.end()
            return
        # Here the context is still that of whoever pulls.
        begin_feeding(live)
        record.context = pulling(record.context, live)
        if recording and live.settings.record == "full":
            record.detail = Detail.FULL
        else:
            record.detail = Detail.ARRIVALS
        if self._monitor is not None:
            self._watch(live, self._monitor)

    def _watch(self, live: LiveStream, monitor: LoopMonitor) -> None:
        watch = monitor.enter()
        if watch is None:
            return
        thread_id = live.record.thread_id
        live.watch_loop(
            lambda until_ns: monitor.settled(thread_id, until_ns),
            lambda since_ns, until_ns: list(monitor.blocks(thread_id, since_ns, until_ns)),
            watch.leave,
        )

    def tracer(self, provider: TracerProvider) -> Tracer:
        """Return our tracer of `provider`, which is flushed with the others from now on."""
        return self._providers.tracer(provider)

    @property
    def tracer_provider(self) -> TracerProvider | None:
        """The provider that was configured; None for the global one."""
        return self._tracer_provider

    def live_streams(self) -> list[LiveStream]:
        """Return the streams that run now, or are about to be told."""
        return list(self._live.values())

    # --- on any thread but ours --------------------------------------------------------------------

    def flush(self, timeout_s: float) -> bool:
        """Tell every stream that ended so far and flush the tracer providers they were told to.

        Blocks the calling thread. Returns whether all of it was done in time.
        """
        deadline_ns = monotonic_ns() + int(timeout_s * NS_PER_S)
        done = self._thinker.flush(timeout_s) and self._teller.flush(remaining_s(deadline_ns))
        return self._providers.flush(deadline_ns) and done

    def shutdown(self, timeout_s: float) -> bool:
        """Tell every stream, live ones as interrupted, flush, and end the threads.

        Blocks the calling thread. Returns whether all of it was done in time. Streams that begin later
        pass through and are counted as dropped.
        """
        deadline_ns = monotonic_ns() + int(timeout_s * NS_PER_S)
        self._closing = True
        done = self._thinker.stop(timeout_s)
        done = self._teller.stop(remaining_s(deadline_ns)) and done
        if self._monitor is not None:
            self._monitor.stop()
        return self.flush(remaining_s(deadline_ns)) and done

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called."""
        return self._closing

    @property
    def dropped(self) -> int:
        """How many streams could not be told because a queue was full or the runtime shut down."""
        return self._refused + self._thinker.dropped + self._teller.dropped

    # --- on the thinker thread ---------------------------------------------------------------------

    def _sweep(self, begun: list[LiveStream]) -> float | None:
        self._live.update((id(live), live) for live in begun)
        for live in list(self._live.values()):
            self._look_at(live)
        for record in self._inherited:
            record.take()
        return SWEEP_S if self._live else None

    def _look_at(self, live: LiveStream) -> None:
        """Take in what is new of a stream and hand it on once it can be told."""
        breathe = self._thinker.breathe
        breathe()
        ended = live.is_over
        with guarded("sweep a stream"):
            if self._closing:
                live.conclude(breathe)
            elif not live.sweep(breathe, hurry=self._thinker.asked):
                return
            if not live.handed_on:
                live.handed_on = True
                live.leave()
                live.leave = _left
                if carrier_for(live.provider).all:
                    self._tell(live, breathe)
                else:
                    self._teller.put(live)
        # One that is told but goes on is looked at for as long as it does: its marks must go somewhere.
        if ended:
            self._live.pop(id(live), None)

    # --- on the teller thread, or the thinker's --------------------------------------------------------

    def _tell_all(self, streams: list[LiveStream]) -> None:
        for live in streams:
            with guarded("tell a stream"):
                self._tell(live, self._teller.breathe)

    def _tell(self, live: LiveStream, breathe: Breathe) -> None:
        span, finished = live.span, live.finished
        if span is None:
            return
        record = live.record
        told: dict[str, Any] = {}
        if finished is None:
            # Summarizing it failed, and was counted: what is left to tell is that it was, and when.
            with guarded("end a span"):
                span.end(end_time=live.tally.ended_ns + record.wall_offset_ns)
            return
        export = carrier_for(live.provider)
        with guarded("put a stream on its span"):
            finished = live.request.told(finished, packed=export.all)
            span.set_attributes(live.learned)
            errors = live.settings.error_outcomes
            told = tell(span, finished, packed=export.all, error_outcomes=errors, breathe=breathe)
            remember_stalls(live.request.span_name, span, finished.summary.stalls)
        # Whatever went wrong before: a span that is not ended is a stream that never was.
        with guarded("end a span"), export.carrying(span, finished.chunk_events):
            span.end(end_time=finished.summary.ended_ns)
        if live.request.operation not in semconv.INFERENCE_OPERATIONS:
            return
        with guarded("measure a stream"):
            labels = {**live.request.start_attributes, **live.learned, **told}
            self._stream_metrics().record(finished.summary, live.tally.arrivals, labels, breathe)

    def _stream_metrics(self) -> StreamMetrics:
        provider = self._meter_provider or metrics.get_meter_provider()
        if self._metrics is None or self._metrics[0] is not provider:
            meter = provider.get_meter(semconv.INSTRUMENTATION_NAME, __version__)
            self._metrics = (provider, StreamMetrics(meter, self.settings.metric_names))
        return self._metrics[1]

    def forget_the_parent(self) -> None:
        """Begin anew in a forked child: the streams that live are the parent's to tell."""
        self._span_lock = threading.RLock()
        for live in self._live.values():
            # Nothing takes its lock again: the thinker of the parent may have had that.
            live.concluded = True
            live.record.detail = Detail.NOTHING
            # An iteration that began with marks goes on with them: they are taken away by and by.
            self._inherited.append(live.record)
        self._live.clear()


def _left() -> None:
    """Do nothing, in place of leaving a loop once more, and so without keeping what is known of it."""

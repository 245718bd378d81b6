"""`StreamSpanProcessor`: exports every span of a provider, streams with all their events. Floor 3 (tell).

`on_end` runs on the thread that ends the span, often an event loop: it appends to a list and goes on.
Everything else happens on one background thread.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Final, Literal

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import TraceFlags

from firsttoken._guard import guarded, logger
from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.errors import ConfigError
from firsttoken.export._batch import CAP_BYTES
from firsttoken.export._carried import carried
from firsttoken.export._courier import INTAKE_MAX, Courier
from firsttoken.export._delivery import Delivery
from firsttoken.export._dispatch import Dispatch
from firsttoken.export._encode_spans import Surroundings, encode_span
from firsttoken.export._http import HttpDelivery
from firsttoken.export._metrics import observe
from firsttoken.export._queue import Entry, SpanQueue
from firsttoken.export._settings import SPOOL_DIR_VARIABLE, read_settings
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import ALREADY_SHUTDOWN, QUEUE_FULL, Counts, Statistics
from firsttoken.export._stock import StockDelivery, stock_exporter
from firsttoken.export._worth import is_valued
from firsttoken.semconv import EVENT_CHUNK

MIB: Final = 1 << 20
DEFAULT_SHUTDOWN_S: Final = 2.0
_SAMPLED: Final = TraceFlags.SAMPLED
# What a stock exporter gets in one call, unless OTEL_BSP_MAX_EXPORT_BATCH_SIZE says otherwise.
_STOCK_BATCH_SPANS: Final = 512


class StreamSpanProcessor(SpanProcessor):
    """Export ended spans as OTLP over HTTP, in the background, within bounds of bytes.

    Arguments that are not given are read from the environment, as the OpenTelemetry specification names
    them (`OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`), and `FIRSTTOKEN_SPOOL_DIR`.

    endpoint: full URL of the collector, path included; a user name and password in it become an
        Authorization header. Where OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`, the
        stock gRPC exporter takes its place, if it is installed and neither this nor `exporter` is given.
    timeout_s: one attempt, from connecting to the end of the answer.
    compression: `none` or `gzip`.
    certificate, client_key, client_certificate: files for TLS.
    schedule_delay_s: how long an ended span may wait for others.
    spool_dir: where spans go that cannot be delivered, as OTLP JSON lines, until the collector is back.
    spool_bytes: of finished spool files; over it the oldest are dropped and counted.
    resend_spool: whether we send the spool when the collector is back; False if a collector reads it.
    queue_bytes: memory the waiting spans may keep, estimated.
    request_bytes: a request is full at this size; none is over `CAP_BYTES`.
    slow_first_token_s: a stream whose first token took longer is dropped last.
    exporter: a stock exporter to hand spans to, in place of HTTP.

    Raises:
        ConfigError: if an argument, or the endpoint in the environment, is not usable, or the spool
            directory cannot be made.

    Cost: `on_end` under 1 µs, tests/bench/bench_export.py.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        compression: Literal["none", "gzip"] | None = None,
        certificate: str | None = None,
        client_key: str | None = None,
        client_certificate: str | None = None,
        schedule_delay_s: float | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256 * MIB,
        resend_spool: bool = True,
        queue_bytes: int = 64 * MIB,
        request_bytes: int = 1 * MIB,
        slow_first_token_s: float = 2.0,
        exporter: SpanExporter | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        for name, value in (("spool_bytes", spool_bytes), ("queue_bytes", queue_bytes)):
            if value <= 0:
                raise ConfigError(f"{name} must be a positive number of bytes, not {value!r}")
        if not 0 < request_bytes <= CAP_BYTES:
            raise ConfigError(f"request_bytes must be from 1 to {CAP_BYTES}, not {request_bytes!r}")
        self._settings = read_settings(
            endpoint=endpoint,
            headers=headers,
            timeout_s=timeout_s,
            compression=compression,
            certificate=certificate,
            client_key=client_key,
            client_certificate=client_certificate,
            schedule_delay_s=schedule_delay_s,
            spool_dir=spool_dir,
        )
        self._exporter = exporter or stock_exporter(self._settings.protocol)
        self._queue_bytes = queue_bytes
        self._request_bytes = request_bytes
        self._spool_bytes = spool_bytes
        self._resend_spool = resend_spool
        self._slow_first_token_s = slow_first_token_s
        self._surroundings = Surroundings()
        self._counts = Counts()
        self._closed = False
        self._losses_told: int | None = None
        self._courier = Courier(self._connect, self._prepare, _see_to_exit, self._counts)
        self._counts.waiting = self._courier.waiting
        self._intake = self._courier.intake
        observe(self._counts, meter_provider)
        _processors.add(self)

    def on_end(self, span: ReadableSpan) -> None:
        """Take an ended span, unless it is not sampled; called by the SDK."""
        courier, intake, context = self._courier, self._intake, span.context
        if context is not None and not context.trace_flags & _SAMPLED:
            return
        if self._closed or len(intake) >= INTAKE_MAX:
            self._counts.refuse(ALREADY_SHUTDOWN if self._closed else QUEUE_FULL)
            return
        chunks = carried.events
        if chunks is not None and (context is None or context.span_id != carried.span_id):
            chunks = None
        intake.append((span, chunks))
        if len(intake) >= courier.wake_at:
            courier.ring()

    def flush(self, timeout_s: float) -> bool:
        """Deliver everything that has ended.

        Returns True only if all that ended since the last flush was accepted or safely spooled, within
        `timeout_s`. After `shutdown` nothing waits: True unless more has ended, and was refused.
        """
        if not self._closed:
            return self._courier.flush(timeout_s)
        told, self._losses_told = self._losses_told, self._counts.losses
        return told == self._losses_told

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        """Deliver everything that has ended; called by the SDK."""
        return self.flush((30_000 if timeout_millis is None else timeout_millis) / 1e3)

    def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:  # type: ignore[override]
        """Deliver everything that has ended, then take no more.

        Returns as `flush` does; what was neither accepted nor spooled in time is counted as dropped.
        """
        if self._closed:
            return True
        self._closed = True
        delivered = self._courier.shutdown(timeout_s)
        self._losses_told = self._counts.losses
        left = self._counts.read().waiting
        if left:
            logger.warning("firsttoken: export: shutdown ran out of time, %d spans are left", left)
        return delivered

    def statistics(self) -> Statistics:
        """Return what became of the spans handed to this processor."""
        return self._counts.read()

    def _connect(self, breathe: Callable[[], None]) -> Dispatch:
        settings = self._settings
        delivery: Delivery
        if self._exporter is None:
            delivery = HttpDelivery(settings, self._counts, breathe)
        else:
            delivery = StockDelivery(self._exporter, settings.timeout_s, breathe)
        spool = None
        if settings.spool_dir is not None:
            try:
                spool = Spool(settings.spool_dir, self._counts, limit_bytes=self._spool_bytes)
            except OSError as error:
                raise ConfigError(
                    f"spool_dir (or {SPOOL_DIR_VARIABLE}) must be a directory, or where one can be made, "
                    f"not {str(settings.spool_dir)!r}: {error.strerror}"
                ) from error
        return Dispatch(
            delivery,
            SpanQueue(self._queue_bytes, settings.max_queue_spans),
            self._counts,
            spool,
            breathe,
            schedule_delay_s=settings.schedule_delay_s,
            target_bytes=self._request_bytes,
            max_batch_spans=settings.max_batch_spans or (_STOCK_BATCH_SPANS if self._exporter else None),
            resends=self._resend_spool and self._exporter is None,
        )

    def _prepare(self, number: int, span: ReadableSpan, chunks: ChunkEvents | None) -> Entry:
        cap = CAP_BYTES // 2
        encoded = encode_span(
            span, self._surroundings, cap=cap, skip_events=EVENT_CHUNK if chunks is not None else ""
        )
        return Entry(
            number,
            encoded,
            chunks,
            valued=is_valued(span, self._slow_first_token_s),
            original=span if self._exporter is not None else None,
        )

    def _begin_anew(self) -> None:
        """Start from nothing in a forked child: what waited is the parent's to export."""
        self._counts.reset()
        self._courier.begin()


def carries(tracer_provider: object) -> Literal["all", "some", "none"]:
    """Return whether all, some or none of a provider's processors take packed chunk events."""
    multi = getattr(tracer_provider, "_active_span_processor", None)
    # One that hands spans to other threads does not hand over what this thread carries.
    if not isinstance(multi, SynchronousMultiSpanProcessor):
        return "none"
    takes = [isinstance(processor, StreamSpanProcessor) for processor in multi._span_processors]
    return "none" if not any(takes) else "all" if all(takes) else "some"


_processors: weakref.WeakSet[StreamSpanProcessor] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for processor in list(_processors):
        with guarded("start anew after a fork"):
            processor._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)


def _shutdown_all() -> None:
    for processor in list(_processors):
        processor.shutdown()


atexit.register(_shutdown_all)


def _see_to_exit() -> None:
    """Have a `multiprocessing` child deliver before it ends: it skips `atexit`."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _shutdown_all, exitpriority=0)

"""The counts of an export as OpenTelemetry metrics. Floor 3 (tell); read when a reader collects.

Everything is observed, nothing recorded: a metric costs nothing where spans pass. Queue capacity, which
the conventions count in spans, does not exist here; the queue is bounded in bytes.

Source: https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from firsttoken.export._statistics import REJECTED, Counts, Statistics
from firsttoken.semconv import ERROR_TYPE, INSTRUMENTATION_NAME

PROCESSED: Final = "otel.sdk.processor.span.processed"
QUEUE_SIZE: Final = "otel.sdk.processor.span.queue.size"
EXPORTED: Final = "otel.sdk.exporter.span.exported"
SPOOLED: Final = "firsttoken.export.spooled"
REPLAYED: Final = "firsttoken.export.replayed"
SPOOL_DROPPED: Final = "firsttoken.export.spool_dropped"
EVENTS_DROPPED: Final = "firsttoken.export.events_dropped"
QUEUE_BYTES: Final = "firsttoken.export.queue.bytes"

_COMPONENT_TYPE: Final = "firsttoken.export.StreamSpanProcessor"
_numbers = itertools.count()

Reading = Callable[[Statistics], Iterable[tuple[int, Mapping[str, str]]]]


def observe(counts: Counts, meter_provider: MeterProvider | None) -> None:
    """Offer the counts of one processor as metrics, for as long as it lives."""
    meter = (meter_provider or get_meter_provider()).get_meter(INSTRUMENTATION_NAME)
    component = {
        "otel.component.type": _COMPONENT_TYPE,
        "otel.component.name": f"{_COMPONENT_TYPE}/{next(_numbers)}",
    }
    reference = weakref.ref(counts)

    def callback(reading: Reading) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            counts = reference()
            if counts is None:
                return []
            return [Observation(value, {**component, **more}) for value, more in reading(counts.read())]

        return read

    for name, unit, description, reading in _COUNTERS:
        meter.create_observable_counter(name, [callback(reading)], unit, description)
    for name, unit, description, reading in _LEVELS:
        meter.create_observable_up_down_counter(name, [callback(reading)], unit, description)


def _by_reason(counts: Mapping[str, int]) -> list[tuple[int, Mapping[str, str]]]:
    return [(count, {ERROR_TYPE: reason}) for reason, count in counts.items()]


def _processed(read: Statistics) -> Iterable[tuple[int, Mapping[str, str]]]:
    return [(read.accepted + read.spooled, {}), *_by_reason(read.dropped)]


def _exported(read: Statistics) -> Iterable[tuple[int, Mapping[str, str]]]:
    return [(read.accepted, {}), (read.dropped.get(REJECTED, 0), {ERROR_TYPE: REJECTED})]


_COUNTERS: Final[tuple[tuple[str, str, str, Reading], ...]] = (
    (
        PROCESSED,
        "{span}",
        "Spans that are delivered, spooled, or dropped for the reason in error.type.",
        _processed,
    ),
    (EXPORTED, "{span}", "Spans the collector answered for.", _exported),
    (SPOOLED, "{span}", "Spans written to the spool.", lambda read: [(read.spooled, {})]),
    (REPLAYED, "{span}", "Spooled spans the collector accepted later.", lambda read: [(read.replayed, {})]),
    (SPOOL_DROPPED, "{span}", "Spooled spans that were lost.", lambda read: _by_reason(read.spool_dropped)),
    (EVENTS_DROPPED, "{event}", "Chunk events left out.", lambda read: _by_reason(read.events_dropped)),
)
_LEVELS: Final[tuple[tuple[str, str, str, Reading], ...]] = (
    (QUEUE_SIZE, "{span}", "Spans that wait or are on their way.", lambda read: [(read.waiting, {})]),
    (
        QUEUE_BYTES,
        "By",
        "Memory the waiting spans keep, estimated.",
        lambda read: [(read.waiting_bytes, {})],
    ),
)

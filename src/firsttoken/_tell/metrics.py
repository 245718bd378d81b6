"""Finished streams and loop blocks as measurements. Floor 3 (tell; OpenTelemetry API).

Streams are measured on the teller thread, blocks on the watchdog thread.

Source: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import Histogram, Meter, MeterProvider

from firsttoken import semconv
from firsttoken._clock import NS_PER_S, to_s
from firsttoken._version import __version__
from firsttoken.summary import StreamSummary

_LABELS = (
    semconv.OPERATION_NAME,
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    semconv.ERROR_TYPE,
)


class StreamMetrics:
    """The GenAI client histograms, under their present names or under the ones that replace them.

    names: `operation` or `inference`.
    """

    def __init__(self, meter: Meter, names: str) -> None:
        renamed = names == "inference"

        def seconds(name: str, new_name: str, description: str) -> Any:
            return meter.create_histogram(
                new_name if renamed else name,
                unit="s",
                description=description,
                explicit_bucket_boundaries_advisory=semconv.SECONDS_BUCKETS,
            )

        def tokens(name: str, description: str) -> Any:
            return meter.create_histogram(
                name,
                unit="{token}",
                description=description,
                explicit_bucket_boundaries_advisory=semconv.TOKEN_BUCKETS,
            )

        self._duration = seconds(
            semconv.METRIC_DURATION,
            semconv.METRIC_INFERENCE_DURATION,
            "Duration of the operation, from the request to the end of the stream.",
        )
        self._first_chunk = seconds(
            semconv.METRIC_TIME_TO_FIRST_CHUNK,
            semconv.METRIC_INFERENCE_TIME_TO_FIRST_CHUNK,
            "Time from the request to the first chunk.",
        )
        self._per_chunk = seconds(
            semconv.METRIC_TIME_PER_OUTPUT_CHUNK,
            semconv.METRIC_INFERENCE_TIME_PER_OUTPUT_CHUNK,
            "Time from each chunk to the next.",
        )
        if renamed:
            self._input = tokens(semconv.METRIC_INFERENCE_INPUT_TOKENS, "Number of input tokens used.")
            self._output = tokens(semconv.METRIC_INFERENCE_OUTPUT_TOKENS, "Number of output tokens used.")
            self._token_types: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
        else:
            self._input = self._output = tokens(
                semconv.METRIC_TOKEN_USAGE, "Number of input and output tokens used."
            )
            self._token_types = ({semconv.TOKEN_TYPE: "input"}, {semconv.TOKEN_TYPE: "output"})

    def record(
        self,
        summary: StreamSummary,
        arrivals: array[int],
        attributes: Mapping[str, Any],
        breathe: Callable[[], None],
    ) -> None:
        """Measure one finished stream.

        arrivals: of all chunks, monotonic ns.
        attributes: the span's; the ones the conventions name become the measurements' own.
        """
        labels = {key: attributes[key] for key in _LABELS if key in attributes}
        self._duration.record(to_s(summary.duration_ns), labels)
        if summary.time_to_first_chunk_ns is not None:
            self._first_chunk.record(to_s(summary.time_to_first_chunk_ns), labels)
        before = arrivals[0] if arrivals else 0
        for arrival in islice(arrivals, 1, None):
            self._per_chunk.record((arrival - before) / NS_PER_S, labels)
            before = arrival
            breathe()
        input_type, output_type = self._token_types
        if summary.input_tokens is not None:
            self._input.record(summary.input_tokens, {**labels, **input_type})
        if summary.output_tokens is not None:
            self._output.record(summary.output_tokens, {**labels, **output_type})


class LoopMetrics:
    """The histogram of loop blocks.

    provider: the global one, as it is at the time, if not given.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._given = provider
        self._made: tuple[MeterProvider, Histogram] | None = None

    def record(self, duration_ns: int, kind: str) -> None:
        """Measure one block of an event loop.

        kind: what the loop's thread did: `cpu`, `io`, `gil_or_cpu_wait` or `gc`.
        """
        self._histogram().record(to_s(duration_ns), {semconv.LOOP_BLOCK_KIND: kind})

    def _histogram(self) -> Histogram:
        provider = self._given or metrics.get_meter_provider()
        if self._made is None or self._made[0] is not provider:
            histogram = provider.get_meter(semconv.INSTRUMENTATION_NAME, __version__).create_histogram(
                semconv.METRIC_LOOP_BLOCK_DURATION,
                unit="s",
                description="How long an event loop was held at a time.",
                explicit_bucket_boundaries_advisory=semconv.SECONDS_BUCKETS,
            )
            self._made = provider, histogram
        return self._made[1]

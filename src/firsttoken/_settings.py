"""What a runtime can be told, checked once. Floor 0 (words); any thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from firsttoken._guard import logger
from firsttoken.errors import ConfigError

CAPTURE_ENV: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CaptureMode = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
CAPTURE_MODES: Final[tuple[CaptureMode, ...]] = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")
RECORD_MODES: Final = ("full", "arrivals")
METRIC_NAMES: Final = ("operation", "inference")
ERROR_OUTCOMES: Final = ("failed", "cancelled", "abandoned", "truncated", "interrupted")

Redact = Callable[[str], str]


@dataclass(frozen=True)
class Settings:
    """The choices of one runtime.

    record: `full`, or `arrivals` for less than half the cost, without the consumer's hold and nesting.
    capture_content: where streamed text may go; the GenAI conventions' modes.
    redact: sees captured text before anyone else and returns what may be told.
    max_events: chunk events per span; more are coalesced.
    stall_threshold_s: a gap this long is a stall.
    block_threshold_s: a callback that holds the event loop this long is a loop block; None to not watch.
    user_paths: folders or files whose code counts as yours when a block is blamed, although installed.
    error_outcomes: the outcomes that set the span's status to ERROR.
    metric_names: `operation` for gen_ai.client.operation.*, `inference` for the names that replace them.
    measure_unsampled: record and measure streams whose span is not sampled.

    Raises: ConfigError: if a value is not allowed; the message names the ones that are.
    Raises: TypeError: if `redact` is no function.
    """

    record: Literal["full", "arrivals"] = "full"
    capture_content: CaptureMode = "NO_CONTENT"
    redact: Redact | None = None
    max_events: int = 1000
    stall_threshold_s: float = 1.0
    block_threshold_s: float | None = 0.05
    user_paths: tuple[str, ...] = ()
    error_outcomes: tuple[str, ...] = ("failed",)
    metric_names: Literal["operation", "inference"] = "operation"
    measure_unsampled: bool = False

    def __post_init__(self) -> None:
        one_of("record", self.record, RECORD_MODES)
        one_of("capture_content", self.capture_content, CAPTURE_MODES)
        one_of("metric_names", self.metric_names, METRIC_NAMES)
        if not isinstance(self.measure_unsampled, bool):
            raise ConfigError(f"measure_unsampled is True or False, not {self.measure_unsampled!r}")
        for outcome in self.error_outcomes:
            one_of("error_outcomes", outcome, ERROR_OUTCOMES)
        if type(self.max_events) is not int or self.max_events < 1:
            raise ConfigError(f"max_events is a whole number of at least 1, not {self.max_events!r}")
        positive("stall_threshold_s", self.stall_threshold_s)
        if self.block_threshold_s is not None:
            positive("block_threshold_s", self.block_threshold_s)
            if not 0.001 <= self.block_threshold_s <= 60:
                raise ConfigError(f"block_threshold_s is from 0.001 to 60, not {self.block_threshold_s!r}")
        if self.redact is not None and not callable(self.redact):
            raise TypeError(f"redact is a function or None, not {type(self.redact).__qualname__}")

    @property
    def captures_on_span(self) -> bool:
        """Whether captured text goes to the span's attributes."""
        return self.capture_content in ("SPAN_ONLY", "SPAN_AND_EVENT")

    @property
    def captures_on_events(self) -> bool:
        """Whether captured text goes to the chunk events."""
        return self.capture_content in ("EVENT_ONLY", "SPAN_AND_EVENT")


def capture_mode(argument: str | bool | None) -> CaptureMode:
    """Return the capture mode for an argument, or the environment's where it is None.

    Raises: ConfigError: if the argument names no mode. A bad environment variable is said and captures
        nothing.
    """
    if argument is None:
        named = os.environ.get(CAPTURE_ENV, "").strip()
        mode = _capture_mode_named(named.upper())
        if named and mode is None:
            logger.warning(
                "%s is one of %s, not %r: nothing is captured", CAPTURE_ENV, ", ".join(CAPTURE_MODES), named
            )
        return mode or "NO_CONTENT"
    if isinstance(argument, bool):
        return "SPAN_AND_EVENT" if argument else "NO_CONTENT"
    mode = _capture_mode_named(str(argument).upper())
    if mode is None:
        raise ConfigError(
            f"capture_content is a bool or one of {', '.join(CAPTURE_MODES)}, not {argument!r}"
        )
    return mode


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Check that `value` is one of `allowed`.

    Raises: ConfigError: if it is not.
    """
    if value not in allowed:
        raise ConfigError(f"{name} is one of {', '.join(allowed)}, not {value!r}")


def positive(name: str, value: float) -> None:
    """Check that `value` is a number above 0.

    Raises: ConfigError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"{name} is a number of seconds above 0, not {value!r}")


def _capture_mode_named(name: str) -> CaptureMode | None:
    return next((mode for mode in CAPTURE_MODES if mode == name), None)

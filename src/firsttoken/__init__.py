"""Observability for LLM token streams: the first token, every token after it, and why it was slow."""

from typing import TYPE_CHECKING, Any

from firsttoken._think.timeline import decode_timeline
from firsttoken._version import __version__
from firsttoken._wrap.setup import configure, flush, shutdown
from firsttoken._wrap.stream import trace_stream, traced
from firsttoken.errors import ConfigError, DecodeError, FirstTokenError
from firsttoken.summary import Outcome, Stall, StallCause, StreamSummary

if TYPE_CHECKING:
    from firsttoken.instrumentation import instrument, uninstrument

__all__ = [
    "ConfigError",
    "DecodeError",
    "FirstTokenError",
    "Outcome",
    "Stall",
    "StallCause",
    "StreamSummary",
    "__version__",
    "configure",
    "decode_timeline",
    "flush",
    "instrument",
    "shutdown",
    "trace_stream",
    "traced",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    """Import what patches HTTP clients when it is asked for: programs that do not are not to load it."""
    if name in ("instrument", "uninstrument"):
        from firsttoken import instrumentation

        return getattr(instrumentation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Observability for LLM token streams: the first token, every token after it, and why it was slow."""

from firsttoken._setup import configure, flush, shutdown
from firsttoken._stream import trace_stream, traced
from firsttoken._timeline import decode_timeline
from firsttoken._version import __version__
from firsttoken.errors import ConfigError, DecodeError, FirstTokenError
from firsttoken.summary import Outcome, Stall, StallCause, StreamSummary

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
    "shutdown",
    "trace_stream",
    "traced",
]

"""Decoders: what every provider's stream says, chunk by chunk. Floor 2 (think); thinker thread."""

from firsttoken.decoders._contract import Decoder, DecoderFactory, Format, Framed, Framing, WireEvent
from firsttoken.decoders._delta import (
    Delta,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    ToolPlan,
    Undecoded,
    Usage,
)
from firsttoken.decoders.choose import decoder_for
from firsttoken.decoders.chunks import ChunkDecoder
from firsttoken.decoders.table import formats, register

__all__ = [
    "ChunkDecoder",
    "Decoder",
    "DecoderFactory",
    "Delta",
    "Done",
    "Finish",
    "Format",
    "Framed",
    "Framing",
    "Identity",
    "KeepAlive",
    "Reasoning",
    "Refusal",
    "StreamError",
    "Text",
    "ToolCall",
    "ToolPlan",
    "Undecoded",
    "Usage",
    "WireEvent",
    "decoder_for",
    "formats",
    "register",
]

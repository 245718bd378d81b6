"""Streams and clients to test with, and the contract every stream wrapper keeps. Floor 5 (plug; anyio)."""

from firsttoken.testing._asgi_client import StreamingAsgiClient, StreamingAsgiResponse
from firsttoken.testing._contract import (
    EXITS,
    SOURCES,
    ConsumerError,
    Exit,
    ScriptedSource,
    SourceError,
    check_exit,
    check_stream_wrapper,
    settle,
)

__all__ = [
    "EXITS",
    "SOURCES",
    "ConsumerError",
    "Exit",
    "ScriptedSource",
    "SourceError",
    "StreamingAsgiClient",
    "StreamingAsgiResponse",
    "check_exit",
    "check_stream_wrapper",
    "settle",
]

"""What every way of sending spans can do. Floor 3 (tell); the export thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from firsttoken.export._answer import Answer
from firsttoken.export._queue import Entry


class Delivery(Protocol):
    """One way of sending spans; used by one thread, one call at a time."""

    async def send(self, entries: Sequence[Entry]) -> Answer:
        """Make one attempt."""

    async def resend(self, request: bytes) -> Answer:
        """Make one attempt with a request in OTLP JSON, from the spool."""

    async def aclose(self) -> None:
        """Let go of connections."""

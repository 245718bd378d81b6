"""One warning a minute. Floor 3 (tell); runs on the export thread."""

from __future__ import annotations

from typing import Final

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken._guard import logger

_EVERY_NS: Final = 60 * NS_PER_S


class Alarm:
    """Says in the log that something was lost or refused, at most once a minute; the rest is counted."""

    def __init__(self) -> None:
        self._quiet_until_ns: int | None = None

    def warn(self, what: str) -> None:
        """Log `what` if nothing was logged for a minute."""
        now = monotonic_ns()
        if self._quiet_until_ns is None or now >= self._quiet_until_ns:
            self._quiet_until_ns = now + _EVERY_NS
            logger.warning("firsttoken: export: %s; counts are in firsttoken.export.statistics()", what)

"""The one guard between our own faults and the user's stream. Floor 0 (words); any thread.

Whatever goes wrong in here is caught, counted by kind and logged once per kind. It never travels
further: telemetry that breaks a stream is worse than no telemetry.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from threading import current_thread, main_thread
from types import TracebackType

logger = logging.getLogger("firsttoken")

_counts: Counter[str] = Counter()


def note_fault(kind: str, error: BaseException) -> None:
    """Count a fault of our own and log the first of its kind.

    The log line names the error's type, not its text: a message may quote what a user streamed.
    """
    _counts[kind] += 1
    if _counts[kind] == 1:
        # A filter or handler of the user's may raise as well.
        with suppress(Exception):
            logger.warning(
                "firsttoken: internal fault while it tried to %s: %s (the stream is not affected; "
                "further faults of this kind are counted, not logged)",
                kind,
                type(error).__qualname__,
                exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
            )


def is_fault(error: BaseException) -> bool:
    """Whether `error` is to be kept inside.

    On the main thread an exit is none: a signal handler that asks for one may run at any line.
    """
    if isinstance(error, Exception):
        return True
    return not isinstance(error, KeyboardInterrupt) and current_thread() is not main_thread()


def fault_counts() -> dict[str, int]:
    """Return how many faults of each kind the guard has caught in this process."""
    return dict(_counts)


class guarded:
    """Keep the faults raised in the block (see `is_fault`) from going further.

    kind: what was being done, as words that follow "tried to".
    """

    __slots__ = ("_kind",)

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not is_fault(error):
            return False
        note_fault(self._kind, error)
        return True

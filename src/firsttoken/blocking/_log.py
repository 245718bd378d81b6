"""Loop blocks as log lines, for a program that has no traces to put them in.

Floor 4. Called on the watchdog thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken.blocking._culprit import LoopBlock

_log = logging.getLogger("firsttoken")


class BlockLog:
    """Log blocks, one line a second at most, with the count of those left out. Usable as `on_block`."""

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._last_ns: int | None = None
        self._left_out = 0

    def __call__(self, block: LoopBlock) -> None:
        """Log `block`, or count it."""
        now_ns = self._clock()
        if self._last_ns is not None and now_ns - self._last_ns < NS_PER_S:
            self._left_out += 1
            return
        self._last_ns = now_ns
        _log.warning("event loop blocked for %d ms (%s) by %s%s", *_told(block), self._more())

    def flush(self) -> None:
        """Log how many blocks were left out since the last line, if any."""
        if self._left_out:
            _log.warning("event loop blocked%s", self._more())

    def _more(self) -> str:
        count, self._left_out = self._left_out, 0
        return f"; {count} more since the last line" if count else ""


def _told(block: LoopBlock) -> tuple[int, str, str]:
    where = "no code of yours" if block.file is None else f"{block.file}:{block.line} {block.function}"
    if block.other_thread is not None:
        where += f" in thread {block.other_thread}"
    return round(block.duration_ns / 1e6), block.kind, where

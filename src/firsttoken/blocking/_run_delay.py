"""How long a thread was ready to run and had no processor, in the scheduler's own words. Linux alone.

Floor 4. Used on the watchdog thread.
"""

from __future__ import annotations

import contextlib
import os


def run_delay_ns(native_id: int) -> int | None:
    """Return how long a thread was ever ready without a processor (ns), None where Linux does not say."""
    return RunDelay(native_id).read_ns()


class RunDelay:
    """The counter of one thread, kept open: to read it costs 3 us and gives up the interpreter.

    It grows when the thread gets its processor, by all that it waited for it.

    native_id: the thread's, as the system knows it.
    """

    __slots__ = ("_fd",)

    def __init__(self, native_id: int) -> None:
        self._fd: int | None = None
        with contextlib.suppress(OSError):
            self._fd = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY)

    def read_ns(self) -> int | None:
        """Return the counter (ns); None where there is none, or the thread is gone."""
        if self._fd is None:
            return None
        try:
            return int(os.pread(self._fd, 128, 0).split()[1])
        except (OSError, IndexError, ValueError):
            return None

    def close(self) -> None:
        """Close the file; on the thread that reads it, or its number may be another file's by then."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    __del__ = close

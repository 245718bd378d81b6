"""The processor taken away by other processes, for a while and on demand. Linux alone."""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

SPINNERS = 2
_SPIN = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
for line in sys.stdin:
    begin_ns = time.perf_counter_ns()
    end_ns = begin_ns + int(line)
    while time.perf_counter_ns() < end_ns:
        pass
    print(begin_ns, time.perf_counter_ns(), flush=True)
"""


class Spinners:
    """Processes on this one's processor, before which it gives way.

    From then on this whole process, threads to come included, runs on one processor and only when nobody
    else will: enter this first thing in a process of its own, there is no way back.
    """

    def __enter__(self) -> Spinners:
        processor = max(os.sched_getaffinity(0))
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", _SPIN, str(processor)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(SPINNERS)
        ]
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.communicate()

    def spin(self, for_s: float) -> tuple[int, int]:
        """Spin on all for a while; return when the first began and the last ended (monotonic ns)."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{int(for_s * 1e9)}\n")
            process.stdin.flush()
        times = []
        for process in self._processes:
            assert process.stdout is not None
            begin, end = process.stdout.readline().split()
            times.append((int(begin), int(end)))
        return min(begin for begin, _ in times), max(end for _, end in times)

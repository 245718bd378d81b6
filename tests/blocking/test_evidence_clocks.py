"""The processor clocks of threads that come and go."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from firsttoken.blocking import _evidence as _evidence
from firsttoken.blocking._evidence import ThreadClocks, thread_frames

PREAMBLE = """
import os, sys, threading, warnings
from firsttoken.blocking._evidence import ThreadClocks
clocks = ThreadClocks()
"""


def run(program: str) -> str:
    """Run `program` in another interpreter, which must end well; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


LINUX_TELLS = pytest.mark.skipif(sys.platform != "linux", reason="no processor clock of other threads")


@LINUX_TELLS
def test_the_thread_that_computed_is_the_busiest() -> None:
    clocks = ThreadClocks()
    clocks.expect(thread_frames())
    before_ns = clocks.spent_ns(threading.get_ident())
    assert before_ns
    end_ns = time.thread_time_ns() + 20_000_000
    while time.thread_time_ns() < end_ns:
        pass
    assert clocks.busiest(thread_frames(), 20_000_000) == threading.get_ident()
    assert clocks.busiest(thread_frames(), 10_000_000_000) is None


@LINUX_TELLS
def test_a_thread_that_ended_meanwhile_has_no_clock_and_the_others_have_theirs() -> None:
    # The C library would follow these numbers to wherever they lead.
    told = run("""
        gone = threading.Thread(target=int)
        gone.start()
        gone.join()
        while os.path.exists(f"/proc/self/task/{gone.native_id}"):
            pass  # the system takes a little longer
        threading._active[gone.ident] = gone
        frame, this = sys._getframe(), threading.get_ident()
        clocks.expect({gone.ident: frame, -1: frame, this: frame})
        print([clocks.spent_ns(key) for key in (gone.ident, -1)], clocks.spent_ns(this) > 0)
    """)
    assert told == "[None, None] True\n"


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform != "linux", reason="no fork, or no clock")
def test_in_a_forked_child_the_thread_that_forked_has_its_clock() -> None:
    told = run("""
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            clocks.expect({threading.get_ident(): sys._getframe()})
            os._exit(0 if clocks.spent_ns(threading.get_ident()) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert told == "0\n"


def test_with_very_many_threads_none_is_the_busiest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_evidence, "MAX_THREADS", 0)
    assert ThreadClocks().busiest(thread_frames(), 0) is None

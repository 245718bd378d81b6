"""What the evidence of one silence comes to, and what it keeps open."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from firsttoken.blocking import _silence as _silence
from firsttoken.blocking._evidence import NO_BASE, GcPause, GcPauses
from firsttoken.blocking._run_delay import RunDelay
from firsttoken.blocking._silence import Silence

MS = 1_000_000


def pause(begin_ms: int, end_ms: int) -> GcPause:
    return GcPause(threading.get_ident(), begin_ms * MS, end_ms * MS, ())


@pytest.mark.parametrize("earlier", [[], [pause(at, at + 10) for at in (10, 60, 110, 160)]])
def test_pauses_that_ended_before_the_silence_take_nothing_from_the_one_that_made_it(
    earlier: list[GcPause], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = GcPauses()
    pauses._pauses.extend([*earlier, pause(260, 1160)])
    monkeypatch.setattr(_silence, "gc_pauses", pauses)
    silence = Silence(threading.get_ident(), ())
    assert silence.describe(NO_BASE, 0, 250 * MS, 1200 * MS, 1000 * MS).kind == "gc"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_a_counter_that_was_closed_keeps_no_file_and_tells_nothing() -> None:
    counter = RunDelay(threading.get_native_id())
    kept = counter._fd
    assert kept is not None
    assert counter.read_ns() is not None
    counter.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept)
    assert counter.read_ns() is None
    counter.close()

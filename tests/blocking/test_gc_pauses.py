"""The collector's pauses: which are remembered, and with what."""

from __future__ import annotations

import _thread
import gc
import sys
import threading
import time

import pytest

from firsttoken._clock import monotonic_ns
from firsttoken.blocking import _evidence as _evidence
from firsttoken.blocking._evidence import GcPauses


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, ms: float) -> None:
        self.now_ns += int(ms * 1e6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_evidence, "monotonic_ns", clock)
    return clock


def collect(pauses: GcPauses, clock: Clock, ms: float) -> None:
    pauses._note("start", {})
    clock.advance(ms)
    pauses._note("stop", {})


def test_a_long_collection_is_remembered_with_its_thread_and_place(clock: Clock) -> None:
    pauses, begin_ns = GcPauses(), clock()
    collect(pauses, clock, 30)
    (pause,) = pauses.within(begin_ns, clock())
    assert (pause.thread_id, pause.started_ns, pause.ended_ns) == (
        threading.get_ident(),
        begin_ns,
        begin_ns + 30_000_000,
    )
    assert pause.stack[0].function == "collect"


def test_a_collection_in_a_thread_without_a_line_of_python_is_remembered_without_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses, unraisable = GcPauses(), []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(_evidence, "LONG_PAUSE_NS", 0)
    gc.collect()
    pauses.install()
    try:
        _thread.start_new_thread(gc.collect, ())
        deadline_s = time.monotonic() + 30
        while not (pauses._pauses or unraisable) and time.monotonic() < deadline_s:
            pass
    finally:
        pauses.remove()
    assert not unraisable
    assert () in [pause.stack for pause in pauses.within(0, monotonic_ns())]


def test_a_short_collection_and_one_outside_the_span_are_not_told(clock: Clock) -> None:
    pauses = GcPauses()
    collect(pauses, clock, 1)
    assert pauses.within(0, clock() + 1) == []
    collect(pauses, clock, 30)
    assert pauses.within(clock(), clock() + 1) == []


def test_a_collection_whose_start_was_missed_is_not_told(clock: Clock) -> None:
    pauses = GcPauses()
    pauses._note("stop", {})
    assert pauses.within(0, clock() + 1) == []


def test_the_collector_calls_us_once_and_only_while_asked_to() -> None:
    pauses = GcPauses()
    before = list(gc.callbacks)
    pauses.install()
    pauses.install()
    assert len(gc.callbacks) == len(before) + 1
    pauses.remove()
    pauses.remove()
    assert gc.callbacks == before

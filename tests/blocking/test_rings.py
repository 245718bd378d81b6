"""Remembered blocks: bounded, by thread, by span."""

from __future__ import annotations

from collections import deque

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext

from firsttoken.blocking import _rings as _rings
from firsttoken.blocking._culprit import LoopBlock
from firsttoken.blocking._rings import (
    MAX_THREADS,
    RING_SIZE,
    BlockRings,
    StreamStall,
    recent,
    remember,
    remember_stalls,
)
from firsttoken.summary import Stall, StallCause
from tests.scenes import S


def made(number: int, *, thread_id: int = 1) -> LoopBlock:
    return LoopBlock(thread_id, 10 * number, 10 * number + 5, "/app/a.py", 7, "f", (), "io", 1.0)


def test_the_ring_of_a_thread_is_bounded_and_no_thread_evicts_another() -> None:
    rings = BlockRings()
    rings.add(made(0, thread_id=2))
    for number in range(RING_SIZE + 10):
        rings.add(made(number))
    ring = rings.overlapping(1, 0, None)
    assert len(ring) == RING_SIZE
    assert ring[0] == made(10)
    assert ring[-1] == made(RING_SIZE + 9)
    assert len(rings.overlapping(2, 0, None)) == 1


def test_rings_are_kept_of_a_bounded_number_of_threads_the_latest_ones() -> None:
    rings = BlockRings()
    for thread_id in range(MAX_THREADS):
        rings.add(made(thread_id, thread_id=thread_id))
    rings.add(made(MAX_THREADS, thread_id=0))
    rings.add(made(MAX_THREADS + 1, thread_id=MAX_THREADS))
    assert len(rings.overlapping(0, 0, None)) == 2
    assert rings.overlapping(1, 0, None) == []
    assert len(rings.overlapping(None, 0, None)) == MAX_THREADS + 1


def test_blocks_of_a_span_are_those_that_overlap_it() -> None:
    rings = BlockRings()
    for number in range(5):
        rings.add(made(number))
    assert rings.overlapping(1, 15, 30) == [made(2)]
    assert rings.overlapping(1, 14, 31) == [made(1), made(2), made(3)]
    assert rings.overlapping(None, 14, None) == [made(1), made(2), made(3), made(4)]
    assert rings.overlapping(9, 0, None) == []


def test_blocks_of_all_threads_come_in_the_order_they_ended() -> None:
    rings = BlockRings()
    blocks = [made(number, thread_id=number % 3) for number in range(9)]
    for block in blocks:
        rings.add(block)
    assert rings.overlapping(None, 0, None) == blocks


@pytest.fixture
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rings, "_blocks", deque(maxlen=RING_SIZE))
    monkeypatch.setattr(_rings, "_stalls", deque(maxlen=RING_SIZE))


@pytest.mark.usefixtures("_nothing_remembered")
def test_recent_has_each_block_once_and_is_bounded() -> None:
    told = [remember(block) for block in (made(0), made(0), made(0, thread_id=2), made(1))]
    assert told == [True, False, True, True]
    assert recent() == [made(0), made(0, thread_id=2), made(1)]
    for number in range(2, 2 * RING_SIZE):
        remember(made(number))
    assert len(recent()) == RING_SIZE
    assert recent()[-1] == made(2 * RING_SIZE - 1)


@pytest.mark.usefixtures("_nothing_remembered")
def test_recent_has_stalls_too_and_they_push_out_no_block() -> None:
    stall = Stall(3, 0, S, StallCause.EVENT_LOOP, 0, 0, S, "/app/a.py", 7, "f")
    context = SpanContext(trace_id=5, span_id=6, is_remote=False)
    remember(made(1))
    for _ in range(RING_SIZE):
        remember_stalls("chat m", NonRecordingSpan(context), [stall, stall])
    block, *stalls = recent()
    assert block == made(1)
    assert len(stalls) == RING_SIZE
    assert all(isinstance(told, StreamStall) and told.stall is stall for told in stalls)
    last = stalls[-1]
    assert isinstance(last, StreamStall)
    assert (last.name, last.trace_id, last.span_id) == ("chat m", 5, 6)

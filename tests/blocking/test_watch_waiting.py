"""A loop that waits for something to do is alive, and is not woken to say so."""

from __future__ import annotations

import sys
import threading

import pytest

from firsttoken.blocking._watch import ASKED_ANYWAY_NS
from tests.blocking import watch_scene
from tests.blocking.watch_scene import MS, PERIOD_MS, Scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_loop_that_waits_is_not_asked(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    sent_ns, asked = scene.now_ns, 0
    while scene.now_ns < sent_ns + ASKED_ANYWAY_NS - 2 * PERIOD_MS * MS:
        assert scene.due()
        asked += len(scene.loop.waiting)
    assert asked == 0
    assert scene.blocks == []


def test_a_loop_that_always_waits_is_asked_now_and_then(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    sent_ns, asked = scene.now_ns, 0
    while scene.now_ns < sent_ns + 4 * ASKED_ANYWAY_NS:
        scene.due()
        asked += len(scene.loop.waiting)
        scene.answer()
    assert 2 <= asked <= 4
    assert scene.blocks == []


def test_a_block_of_a_loop_that_waited_begins_between_two_looks(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.due()
    waited_ns = scene.now_ns
    scene.loop.is_waiting = False
    scene.due()
    scene.due()
    scene.after(60).answer().due()
    assert waited_ns <= scene.block().started_ns <= waited_ns + PERIOD_MS * MS
    assert scene.block().file == watch_scene.__file__


def test_a_loop_that_waits_again_before_the_watchdog_could_run_was_blocked_all_the_same(
    scene: Scene,
) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.due()
    scene.after(150, cpu_ms=150).tick(holder=threading.get_ident())
    scene.after(0.1).answer().due()
    assert scene.block().kind == "cpu"
    assert scene.block().file is None
    assert scene.block().duration_ns >= 130 * MS


def test_what_a_waiting_loop_is_behind_with_is_settled_at_once(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    before_ns = scene.now_ns
    scene.due()
    assert scene.watch.settled(before_ns)
    assert not scene.watch.settled(scene.now_ns + 1)


def test_a_waiting_loop_without_streams_is_let_go_without_being_asked(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.watch.leave()
    assert not scene.due()
    assert scene.watch.over
    assert scene.loop.waiting == []


def test_a_loop_that_waits_but_was_kept_from_its_processor_was_blocked_by_nobodys_line(
    scene: Scene,
) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.due()
    scene.due()
    scene.delay_ns += 40 * MS
    scene.due()
    assert scene.blocks == []
    scene.delay_ns += 180 * MS
    scene.due()
    block = scene.block()
    assert (block.kind, block.file, block.ended_ns) == ("gil_or_cpu_wait", None, scene.now_ns)
    assert block.duration_ns <= 180 * MS
    scene.due()
    assert len(scene.blocks) == 1


def test_what_a_loop_waited_for_its_processor_while_at_work_is_not_told_again(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.due()
    scene.loop.is_waiting = False
    scene.due()
    scene.delay_ns += 180 * MS
    scene.after(180).answer()
    scene.loop.is_waiting = True
    scene.due()
    scene.due()
    assert len(scene.blocks) == 1


@pytest.mark.parametrize("outstanding", [True, False])
def test_where_another_thread_of_ours_saw_the_loop_is_evidence_though_it_has_gone_on(
    scene: Scene, outstanding: bool
) -> None:
    scene.healthy()
    if not outstanding:
        scene.answer()
        scene.loop.is_waiting = True
        scene.due()
        scene.loop.is_waiting = False
    scene.after(150, cpu_ms=150)
    scene.watch.glance({threading.get_ident(): sys._getframe()})
    scene.loop.is_waiting = True
    scene.answer().tick()
    scene.answer().due()
    assert scene.block().file == __file__


def test_a_glance_at_a_loop_that_waits_is_no_evidence(scene: Scene) -> None:
    scene.healthy().answer()
    scene.loop.is_waiting = True
    scene.watch.glance({threading.get_ident(): sys._getframe()})
    scene.after(150).tick()
    scene.answer().due()
    assert scene.block().file is None

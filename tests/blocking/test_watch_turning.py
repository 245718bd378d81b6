"""A loop whose turn began just now is alive, and is not asked."""

from __future__ import annotations

import sys

import pytest

from firsttoken.blocking._watch import ASKED_ANYWAY_NS
from tests.blocking import watch_scene
from tests.blocking.watch_scene import MS, PERIOD_MS, THRESHOLD_MS, Scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch).healthy().answer()


def turning(scene: Scene, age_ms: float = 1) -> Scene:
    """At its next look, the loop is in a turn of that age."""
    scene.now_ns = max(scene.now_ns, scene.watch.due_ns)
    scene.loop.turned_at_ns = scene.now_ns - int(age_ms * MS)
    return scene


def test_a_loop_in_a_young_turn_is_not_asked(scene: Scene) -> None:
    until_ns, asked = scene.now_ns + ASKED_ANYWAY_NS - 2 * PERIOD_MS * MS, 0
    while scene.now_ns < until_ns:
        assert turning(scene).after(0, cpu_ms=PERIOD_MS).tick()
        asked += len(scene.loop.waiting)
    assert asked == 0
    assert scene.blocks == []


def test_one_that_is_always_young_is_asked_now_and_then(scene: Scene) -> None:
    until_ns, asked = scene.now_ns + 4 * ASKED_ANYWAY_NS, 0
    while scene.now_ns < until_ns:
        turning(scene).tick()
        asked += len(scene.loop.waiting)
        scene.after(0.1).answer()
    assert 2 <= asked <= 4
    assert scene.blocks == []


@pytest.mark.parametrize("age_ms", [PERIOD_MS, 30, -1])
def test_an_old_turn_is_no_proof_of_life_nor_is_one_to_come(scene: Scene, age_ms: float) -> None:
    turning(scene, age_ms).tick()
    assert len(scene.loop.waiting) == 1
    scene.answer()


def test_what_began_before_a_young_turn_is_settled(scene: Scene) -> None:
    turning(scene).tick()
    assert scene.loop.turned_at_ns is not None
    assert scene.watch.settled(scene.loop.turned_at_ns)
    assert not scene.watch.settled(scene.now_ns)


def test_a_turn_that_grows_old_is_a_block_from_its_beginning(scene: Scene) -> None:
    turning(scene).tick()
    began_ns = scene.now_ns + 2 * MS
    scene.after(PERIOD_MS, cpu_ms=2)
    scene.loop.turned_at_ns = began_ns
    scene.due()
    scene.loop.turned_at_ns = began_ns
    for _ in range(4):
        scene.due()
    scene.now_ns = began_ns + 80 * MS
    scene.answer()
    turning(scene).tick()
    block = scene.block()
    assert (block.kind, block.file) == ("io", watch_scene.__file__)
    assert block.started_ns == began_ns
    assert block.ended_ns == began_ns + 80 * MS


def test_a_block_that_let_nobody_look_is_told_though_the_turn_is_young_by_then(scene: Scene) -> None:
    turning(scene).tick()
    began_ns = scene.now_ns + 1 * MS
    scene.after(150, cpu_ms=150)
    turning(scene).tick(holder=-7)
    assert len(scene.loop.waiting) == 1
    scene.after(0.2).answer()
    turning(scene).tick()
    assert scene.block().duration_ns >= 130 * MS
    assert scene.block().started_ns <= began_ns + PERIOD_MS * MS


def test_two_blocks_never_overlap_though_the_second_is_in_the_turn_that_answered_the_first(
    scene: Scene,
) -> None:
    turning(scene, 20).tick()
    scene.after(70).answer()
    answered_ns = scene.now_ns
    turned_ns = answered_ns - 4 * MS
    scene.after(3)
    for _ in range(6):
        scene.loop.turned_at_ns = turned_ns
        scene.tick()
        scene.now_ns = scene.watch.due_ns
    scene.answer()
    turning(scene).tick()
    first, second = scene.blocks
    assert first.ended_ns == answered_ns <= second.started_ns


def test_times_between_short_turns_never_add_up_to_a_block(scene: Scene) -> None:
    for age_ms in (1, 12, 13, 30, 12, 1, 40, 5) * 8:
        turning(scene, age_ms).after(0, cpu_ms=PERIOD_MS).tick()
        scene.after(1, cpu_ms=1).answer()
    assert scene.blocks == []


def test_the_last_stream_of_a_loop_at_work_is_waited_for(scene: Scene) -> None:
    scene.watch.leave()
    assert turning(scene).tick()
    assert len(scene.loop.waiting) == 1
    scene.after(THRESHOLD_MS + 20, cpu_ms=THRESHOLD_MS + 20).answer()
    assert not turning(scene).tick()
    assert scene.block().kind == "cpu"
    assert scene.watch.over


def test_a_young_turn_is_not_looked_at_line_by_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(frame: object) -> None:
        raise AssertionError(f"it captured {frame}")

    monkeypatch.setattr(sys.modules["firsttoken.blocking._lookout"], "capture", refuse)
    turning(scene).tick()

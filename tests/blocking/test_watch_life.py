"""The life of a watch: loops that stop, go on or close, streams that leave, and what is settled."""

from __future__ import annotations

import threading

import pytest

from firsttoken.blocking._watch import Watch
from tests.blocking.watch_scene import Scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_loop_that_nobody_runs_is_left_alone_until_it_runs_again(scene: Scene) -> None:
    scene.healthy()
    scene.loop.life_now = "stopped"
    assert not scene.due()
    assert scene.watch.parked
    assert not scene.watch.over
    scene.loop.life_now = "running"
    scene.after(1000).answer()
    assert scene.resumed == [scene.watch]
    scene.watch.parked = False
    assert scene.tick()
    assert scene.blocks == []
    scene.after(100).answer().due(look=False)
    assert len(scene.blocks) == 1


@pytest.mark.parametrize("life", ["running", "stopped"])
def test_a_loop_that_another_thread_runs_by_now_is_given_up(scene: Scene, life: str) -> None:
    scene.healthy()
    scene.loop.life_now = life
    assert scene.due() == (life == "running")
    elsewhere = threading.Thread(target=scene.after(1000).answer)
    elsewhere.start()
    elsewhere.join()
    assert scene.watch.over
    assert not scene.due()
    assert (scene.blocks, scene.resumed) == ([], [])


def test_a_loop_that_runs_again_at_once_is_not_left_alone(scene: Scene) -> None:
    scene.healthy()

    def answered_meanwhile(_: object) -> str:
        scene.loop.answer()
        return "stopped"

    scene.loop.life = answered_meanwhile  # type: ignore[method-assign]
    assert scene.due()
    assert not scene.watch.parked


def test_a_loop_that_nobody_runs_is_given_up_when_the_last_stream_leaves(scene: Scene) -> None:
    scene.healthy()
    scene.loop.life_now = "stopped"
    scene.due()
    scene.watch.leave()
    assert scene.watch.over


@pytest.mark.parametrize("when", ["waiting for an answer", "about to send"])
def test_a_closed_loop_is_dropped(scene: Scene, when: str) -> None:
    scene.healthy()
    if when == "about to send":
        scene.answer()
    scene.loop.life_now = "closed"
    assert not scene.due()


def test_after_the_last_stream_one_more_heartbeat_is_sent_and_then_none(scene: Scene) -> None:
    scene.healthy().answer()
    scene.watch.leave()
    assert scene.due(look=False)
    scene.after(0.2).answer()
    assert not scene.due(look=False)
    assert scene.watch.over
    assert scene.loop.waiting == []


def test_a_block_in_progress_when_the_last_stream_leaves_is_still_told(scene: Scene) -> None:
    scene.healthy().due()
    scene.watch.leave()
    scene.after(100).answer().due(look=False)
    assert len(scene.blocks) == 1


def test_a_stream_that_enters_before_the_end_keeps_the_heartbeat(scene: Scene) -> None:
    scene.healthy().answer()
    scene.watch.leave()
    scene.due(look=False)
    assert scene.watch.enter(scene.loop.handle)
    scene.answer()
    assert scene.due(look=False)
    assert not scene.watch.over


def test_leaving_too_often_takes_no_stream_of_others(scene: Scene) -> None:
    scene.watch.leave()
    scene.watch.leave()
    assert scene.watch.enter(scene.loop.handle)
    scene.healthy().answer()
    assert scene.due(look=False)
    assert scene.answer().due(look=False)


def test_another_loop_and_a_watch_that_is_over_cannot_be_entered(scene: Scene) -> None:
    assert not scene.watch.enter(object())
    scene.watch.stop()
    assert not scene.watch.enter(scene.loop.handle)
    assert not scene.tick()
    assert scene.loop.waiting == []


def test_settled_means_a_later_heartbeat_was_answered_and_its_block_told(scene: Scene) -> None:
    scene.healthy()
    before_ns = scene.now_ns - 1
    assert not scene.watch.settled(before_ns)
    scene.after(100).answer()
    assert not scene.watch.settled(before_ns)
    scene.due(look=False)
    assert scene.blocks
    assert scene.watch.settled(before_ns)
    assert not scene.watch.settled(scene.now_ns + 1)


def test_a_watch_that_is_over_or_left_alone_is_settled(scene: Scene) -> None:
    scene.healthy()
    scene.loop.life_now = "stopped"
    scene.due()
    assert scene.watch.settled(scene.now_ns + 1)
    scene.watch.stop()
    assert scene.watch.settled(scene.now_ns + 1)


def test_a_resume_that_cannot_start_a_thread_does_not_reach_the_loop(scene: Scene) -> None:
    scene.healthy()
    scene.loop.life_now = "stopped"
    scene.due()

    def refuse(_: Watch) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    scene.watch._resume = refuse
    scene.answer()

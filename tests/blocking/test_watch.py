"""The heartbeat of one loop, ticked by hand: what is a block, whose, and what is none."""

from __future__ import annotations

import os
import sysconfig
import threading

import pytest

from firsttoken.blocking._culprit import Frame
from firsttoken.blocking._evidence import GcPause
from tests.blocking import watch_scene
from tests.blocking.watch_scene import MS, OTHER_THREAD, PERIOD_MS, THRESHOLD_MS, Scene

STDLIB = sysconfig.get_path("stdlib")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_heartbeat_answered_in_time_is_no_block(scene: Scene) -> None:
    for _ in range(5):
        assert scene.healthy().tick(look=False)
        scene.after(1).answer()
    assert scene.blocks == []


def test_heartbeats_are_sent_every_quarter_of_the_threshold_and_one_at_a_time(scene: Scene) -> None:
    scene.healthy()
    sent_ns = scene.now_ns
    assert scene.watch.due_ns == sent_ns + THRESHOLD_MS * MS // 4
    assert len(scene.loop.waiting) == 1
    scene.due()
    scene.due()
    assert len(scene.loop.waiting) == 1


def test_silence_at_the_threshold_is_a_block_and_shorter_silence_is_none(scene: Scene) -> None:
    scene.healthy().after(THRESHOLD_MS - PERIOD_MS).answer().due()
    assert scene.blocks == []
    scene.after(THRESHOLD_MS).answer().due()
    assert len(scene.blocks) == 1


def test_a_block_names_the_code_seen_while_the_loop_was_silent(scene: Scene) -> None:
    scene.healthy()
    for _ in range(5):
        scene.due()
    scene.after(3).answer().due(look=False)
    block = scene.block()
    assert block.file == watch_scene.__file__
    assert block.function is not None
    assert block.function.rpartition(".")[2] == "tick"
    assert block.thread_id == threading.get_ident()
    assert block.share == 1.0
    assert block.kind == "io"
    assert block.other_thread is None


def test_a_block_lasts_from_between_the_last_answer_and_the_heartbeat_to_its_answer(scene: Scene) -> None:
    scene.healthy()
    sent_ns, alive_ns = scene.now_ns, scene.watch._answered_ns
    scene.after(120).answer()
    ended_ns = scene.now_ns
    scene.due(look=False)
    assert alive_ns <= scene.block().started_ns <= sent_ns
    assert scene.block().ended_ns == ended_ns


def test_a_block_that_computed_starts_where_the_computing_began(scene: Scene) -> None:
    scene.healthy()
    sent_ns = scene.now_ns
    scene.after(120, cpu_ms=131).answer().due(look=False)
    assert scene.block().kind == "cpu"
    assert scene.block().started_ns == sent_ns - 11 * MS


def test_a_watchdog_that_could_not_run_counts_from_when_the_heartbeat_was_due(scene: Scene) -> None:
    scene.healthy().after(0.2).answer()
    due_ns = scene.watch.due_ns
    scene.after(150, cpu_ms=150).tick()
    scene.after(0.1).answer().due(look=False)
    assert scene.block().kind == "cpu"
    assert scene.block().ended_ns - due_ns == pytest.approx(137.8 * MS, abs=0.2 * MS)
    assert scene.block().file == watch_scene.__file__


def test_a_watchdog_slightly_late_is_no_block(scene: Scene) -> None:
    scene.healthy().after(0.2).answer()
    scene.after(THRESHOLD_MS - 1).tick()
    scene.after(0.1).answer().due()
    assert scene.blocks == []


def test_time_ready_without_running_makes_it_a_wait_for_interpreter_or_processor(scene: Scene) -> None:
    scene.healthy().due()
    scene.delay_ns = 80 * MS
    scene.after(60).answer().due(look=False)
    assert scene.block().kind == "gil_or_cpu_wait"


def test_lateness_of_the_watchdog_is_a_wait_too_where_the_system_does_not_say(scene: Scene) -> None:
    scene.delay_ns = None  # type: ignore[assignment]
    scene.healthy().after(100).tick()
    scene.after(1).answer().due(look=False)
    assert scene.block().kind == "gil_or_cpu_wait"


def test_the_thread_that_held_the_interpreter_is_named(scene: Scene) -> None:
    scene.healthy().after(0.2).answer()
    scene.after(150).tick(holder=OTHER_THREAD)
    scene.after(0.1).answer().due(look=False)
    block = scene.block()
    assert (block.kind, block.other_thread) == ("gil_or_cpu_wait", f"thread {OTHER_THREAD}")
    assert block.thread_id == threading.get_ident()
    assert block.function is not None


def test_the_thread_that_held_the_interpreter_is_named_though_the_loop_went_on_before_we_could_look(
    scene: Scene,
) -> None:
    scene.healthy().after(150).answer().tick(holder=OTHER_THREAD)
    block = scene.block()
    assert (block.kind, block.other_thread) == ("gil_or_cpu_wait", f"thread {OTHER_THREAD}")


def test_where_the_loop_stands_after_it_went_on_is_no_evidence(scene: Scene) -> None:
    scene.healthy().after(150).answer().tick()
    assert scene.block().kind == "gil_or_cpu_wait"
    assert scene.block().file is None


def test_a_garbage_collection_in_another_thread_is_named_with_it(scene: Scene) -> None:
    scene.healthy()
    begin_ns = scene.now_ns - 5 * MS
    line = Frame("/app/worker.py", 3, "allocate")
    scene.after(100).answer()
    scene.pauses = [GcPause(OTHER_THREAD, begin_ns, scene.now_ns - MS, (line,))]
    scene.due(look=False)
    block = scene.block()
    assert (block.kind, block.file, block.line, block.function) == ("gc", *line)
    assert block.other_thread == f"thread {OTHER_THREAD}"
    assert block.started_ns == begin_ns


def test_the_time_the_process_was_suspended_does_not_count(scene: Scene) -> None:
    scene.healthy().after(500)
    assert scene.tick(suspended=True)
    scene.after(30).answer().due(look=False)
    assert scene.blocks == []


def test_a_suspension_that_ended_with_an_answer_is_no_block(scene: Scene) -> None:
    scene.healthy().after(500).answer().after(1).tick(suspended=True)
    assert scene.blocks == []
    scene.after(1).answer().due(look=False)
    assert scene.blocks == []


def test_a_suspension_between_heartbeats_is_no_block(scene: Scene) -> None:
    scene.healthy().after(0.2).answer().after(500).tick(suspended=True)
    scene.after(1).answer().due(look=False)
    assert scene.blocks == []


def test_a_block_around_a_suspension_is_still_one(scene: Scene) -> None:
    scene.healthy().after(500)
    scene.tick(suspended=True)
    scene.after(THRESHOLD_MS).answer().due(look=False)
    assert len(scene.blocks) == 1


def test_stepping_in_a_debugger_is_no_block(scene: Scene) -> None:
    scene.healthy().due()
    scene.watch._silence._samples.add((Frame(os.path.join(STDLIB, "bdb.py"), 1, "dispatch_line"),), MS)
    scene.after(10_000).answer().due(look=False)
    assert scene.blocks == []
    scene.after(100).answer().due(look=False)
    assert len(scene.blocks) == 1


def test_sampling_grows_rarer_in_a_long_block_but_never_rare(scene: Scene) -> None:
    scene.healthy()
    scene.due()
    pauses = []
    for _ in range(400):
        before_ns = scene.now_ns
        scene.due()
        pauses.append((scene.now_ns - before_ns) / MS)
    assert pauses[0] == THRESHOLD_MS / 5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 2 * THRESHOLD_MS

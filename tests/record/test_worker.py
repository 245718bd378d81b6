"""The worker: in order, bounded, kind to others, inside its deadlines, and new in a forked child."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

from firsttoken._guard import fault_counts
from firsttoken._record import worker as _worker
from firsttoken._record.worker import Worker, remaining_s


class Steps:
    """A step that remembers what it was given, and waits where it is told to."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.calls = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, items: list[Any]) -> float | None:
        self.calls += 1
        self.seen += items
        self.entered.set()
        self.go_on.wait(10)
        return None


@pytest.fixture
def steps() -> Any:
    steps = Steps()
    yield steps
    steps.go_on.set()


def hung(steps: Steps, **options: Any) -> Worker:
    """Return a worker whose step does not return until told to."""
    worker = Worker("test-hung", steps, **options)
    steps.go_on.clear()
    worker.put("first")
    assert steps.entered.wait(10)
    return worker


def test_items_go_through_steps_in_order(steps: Steps) -> None:
    worker = Worker("test-order", steps)
    for number in range(1000):
        assert worker.put(number)
    assert worker.flush(10)
    assert steps.seen == list(range(1000))
    assert worker.stop(10)


def test_no_thread_before_the_first_item(steps: Steps) -> None:
    worker = Worker("test-lazy", steps)
    assert worker.flush(1)
    assert worker._thread is None
    assert steps.calls == 0


def test_stopped_without_a_thread_it_works_off_in_the_callers(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    worker = Worker("test-late", steps)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert worker.put("a")
    assert worker._thread is None
    assert not worker.flush(1)
    assert worker.stop(1)
    assert steps.seen == ["a"]


def test_a_full_inbox_refuses_and_counts(steps: Steps) -> None:
    worker = hung(steps, capacity=2)
    assert [worker.put(number) for number in range(4)] == [True, True, False, False]
    assert worker.dropped == 2
    steps.go_on.set()
    assert worker.flush(10)
    assert steps.seen == ["first", 0, 1]
    assert worker.stop(10)


def test_deadlines_are_kept_when_the_step_hangs(steps: Steps) -> None:
    worker = hung(steps)
    assert not worker.flush(0.01)
    assert not worker.stop(0.01)
    assert not worker.put("late")
    assert worker.dropped == 1


def test_after_a_stop_items_are_refused_and_counted(steps: Steps) -> None:
    worker = Worker("test-stopped", steps)
    worker.put("a")
    assert worker.stop(10)
    assert not worker.put("b")
    assert (steps.seen, worker.dropped) == (["a"], 1)


def test_a_second_stop_returns_at_once(steps: Steps) -> None:
    worker = Worker("test-twice", steps)
    worker.put("a")
    assert worker.stop(10)
    before = _worker.monotonic_ns()
    assert worker.stop(10)
    assert worker.flush(10)
    assert _worker.monotonic_ns() - before < 5_000_000_000


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_step_that_raises_is_counted_and_the_next_one_runs(error: type[BaseException]) -> None:
    seen: list[Any] = []

    def step(items: list[Any]) -> None:
        seen.extend(items)
        if "bad" in items:
            raise error

    kind = f"run test-raising-{error.__name__}"
    worker = Worker(kind.removeprefix("run "), step)
    worker.put("bad")
    assert worker.flush(10)
    worker.put("good")
    assert worker.flush(10)
    assert seen == ["bad", "good"]
    assert fault_counts()[kind] == 1
    assert worker.stop(10)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_fault_on_waking_is_counted_and_the_step_runs(error: type[BaseException], steps: Steps) -> None:
    def woken() -> None:
        raise error

    kind = f"wake test-waking-{error.__name__}"
    worker = Worker(kind.removeprefix("wake "), steps, woken=woken)
    worker.put("item")
    assert worker.flush(10)
    assert steps.seen == ["item"]
    assert fault_counts()[kind] >= 1
    assert worker.stop(10)


def test_it_is_called_again_after_the_time_it_asked_for() -> None:
    again = threading.Event()
    calls: list[int] = []

    def step(items: list[Any]) -> float | None:
        calls.append(len(items))
        if len(calls) < 3:
            return 0.001
        again.set()
        return None

    worker = Worker("test-again", step)
    worker.put("a")
    assert again.wait(10)
    assert calls == [1, 0, 0]
    assert worker.stop(10)


def test_what_can_wait_wakes_a_worker_that_rests(steps: Steps) -> None:
    worker = Worker("test-resting", steps)
    for number in range(100):
        steps.entered.clear()
        assert worker.put(number, at_once=False)
        assert steps.entered.wait(10)
    assert steps.seen == list(range(100))
    assert worker.stop(10)


def test_what_can_wait_wakes_once_whom_it_finds_at_rest_and_nobody_else(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "_start", lambda self: None)
    worker = Worker("test-later", steps)
    assert worker.put("it wakes anyway", at_once=False)
    assert worker._inbox.qsize() == 0
    worker._rests = True
    assert worker.put("it rests", at_once=False)
    assert worker.put("it is woken already", at_once=False)
    assert worker._inbox.qsize() == 1
    assert worker.stop(1)
    assert steps.seen == ["it wakes anyway", "it rests", "it is woken already"]


def test_what_can_wait_is_flushed_counted_and_bounded_like_the_rest(steps: Steps) -> None:
    worker = hung(steps, capacity=2)
    assert [worker.put(number, at_once=False) for number in range(3)] == [True, True, False]
    assert worker.dropped == 1
    steps.go_on.set()
    assert worker.flush(10)
    assert steps.seen == ["first", 0, 1]
    assert worker.stop(10)


def test_a_step_knows_whether_somebody_waits() -> None:
    asked: list[bool] = []
    worker = Worker("test-asked", lambda items: asked.append(worker.asked))
    worker.put("a")
    worker.flush(10)
    assert asked[-1] is True
    assert worker.stop(10)


def test_a_step_that_waits_for_itself_is_refused() -> None:
    answers: list[bool] = []

    def step(items: list[Any]) -> None:
        assert worker.is_current
        answers.append(worker.flush(60))

    worker = Worker("test-itself", step)
    worker.put("a")
    assert worker.flush(10)
    assert not worker.is_current
    assert False in answers
    assert worker.stop(10)


def test_slices_and_naps_take_turns_over_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    now, naps = [10_000_000_000], []

    def sleep(seconds: float) -> None:
        naps.append(round(seconds * 1e9))
        now[0] += naps[-1]

    monkeypatch.setattr(_worker, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(_worker, "sleep", sleep)
    monkeypatch.setattr(_worker, "_next_turn_ns", 0)
    one, other = Worker("test-one", lambda items: None), Worker("test-other", lambda items: None)
    one.breathe()
    assert naps == []
    one.breathe()
    assert naps == []
    now[0] += _worker.SLICE_NS
    one.breathe()
    assert naps == [_worker.NAP_NS]
    other.breathe()
    assert naps == [_worker.NAP_NS, _worker.SLICE_NS + _worker.NAP_NS]


def test_a_hurried_worker_does_not_nap(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError("it napped")

    worker = Worker("test-hurry", lambda items: None)
    worker.stop(1)
    monkeypatch.setattr(_worker, "sleep", sleep)
    monkeypatch.setattr(_worker, "_next_turn_ns", 2**62)
    worker.breathe()


def test_what_remains_is_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker, "monotonic_ns", lambda: 5_000_000_000)
    assert remaining_s(6_500_000_000) == 1.5
    assert remaining_s(0) == 0.0


def test_it_may_be_put_to_while_its_thread_is_being_started(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weakref callback or `__del__` may run at any allocation, on the very thread that starts it."""
    worker = Worker("test-reentrant", steps)
    start = threading.Thread.start

    class Thread(threading.Thread):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if worker._thread is None and threading.current_thread() is caller:
                inner.append(worker.put("from a callback"))

    caller, inner = threading.Thread(target=lambda: worker.put("outer"), daemon=True), []
    monkeypatch.setattr(_worker.threading, "Thread", Thread)
    start(caller)
    caller.join(5)
    assert not caller.is_alive(), "it waits for itself"
    assert inner == [True]
    assert worker.flush(10)
    assert sorted(steps.seen) == ["from a callback", "outer"]


@pytest.mark.skipif(not hasattr(sys, "abiflags"), reason="no fork here")
def test_a_forked_child_has_an_empty_inbox_and_a_thread_of_its_own() -> None:
    program = """
        import os, threading, warnings
        from firsttoken._record.worker import Worker
        warnings.simplefilter("ignore", DeprecationWarning)
        seen, entered, go_on = [], threading.Event(), threading.Event()
        def step(items):
            entered.set()
            go_on.wait(10)
            seen.extend(items)
        worker = Worker("fork", step)
        worker.put("first")
        entered.wait(10)
        worker.put("the parent's")
        child = os.fork()
        go_on.set()
        if child == 0:
            seen.clear()
            worker.put("the child's")
            os._exit(0 if worker.flush(10) and seen == ["the child's"] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert worker.flush(10) and seen == ["first", "the parent's"], seen
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)

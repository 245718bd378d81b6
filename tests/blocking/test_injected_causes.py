"""Causes that are known because they were injected: each is told with its name, and its line.

A small, seeded run of tests/bench/bench_attribution.py, which has more of everything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import firsttoken
from firsttoken._wrap import default
from tests.bench.attribution_plots import play
from tests.bench.attribution_scenes import Injected
from tests.bench.attribution_truth import judge, true_causes
from tests.scenes import MS

#: On a machine that others keep busy, a few of the stalls are theirs.
MOST = 0.8


@pytest.fixture
def _runtime_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(default, "_default", None)
    yield
    firsttoken.shutdown(10)


@pytest.mark.usefixtures("_runtime_of_its_own")
@pytest.mark.parametrize(
    "plot",
    ["slow provider", "slow reader", "reader that stops", "`time.sleep`", "CPU loop", "full thread pool"],
)
def test_an_injected_cause_is_told(plot: str) -> None:
    if plot == "reader that stops" and sys.version_info < (3, 11):
        pytest.skip("asyncio remembers cancel requests from 3.11 on: it ends with its last chunk")
    rounds, streams = 5, 3
    score = judge(play(plot, streams, rounds, seed=7))
    assert score.stalls >= (streams if plot == "reader that stops" else rounds)
    assert score.right >= MOST * score.stalls, score.confused
    assert score.alarms <= (1 - MOST) * score.innocent, score.confused
    if plot in ("`time.sleep`", "CPU loop"):
        assert score.blocks == rounds
        assert score.lines >= MOST * score.blocks, score.confused


def at(cause: str, begin_ms: int, end_ms: int, stream: int | None = None) -> Injected:
    return Injected(cause, begin_ms * MS, end_ms * MS, stream)


@pytest.mark.parametrize(
    ("injected", "truth"),
    [
        ([at("provider", 10, 190, 1)], "provider"),
        ([at("provider", 10, 190, 2)], ""),
        ([at("consumer", 10, 90, 1), at("provider", 90, 150, 1)], "provider"),
        ([at("consumer", 10, 100, 1), at("event_loop", 40, 120)], "event_loop provider"),
        ([at("consumer", 10, 100, 1), at("event_loop", 40, 180)], "event_loop"),
        ([at("event_loop", 0, 60), at("event_loop", 50, 140)], "event_loop"),
        ([at("thread_pool", 20, 180)], "thread_pool"),
        ([at("event_loop", 0, 90)], ""),
        ([at("consumer", 0, 95, 1), at("event_loop", 95, 200)], "consumer event_loop"),
    ],
)
def test_the_truth_is_what_was_injected_into_most_of_a_gap(injected: list[Injected], truth: str) -> None:
    assert true_causes(injected, 1, 0, 200 * MS) == set(truth.split())

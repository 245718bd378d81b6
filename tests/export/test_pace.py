"""The export thread naps for those who run, and hardly where nobody does."""

from __future__ import annotations

from itertools import pairwise

import pytest

from firsttoken._record.worker import SLICE_NS
from firsttoken.export import _pace
from firsttoken.export._pace import Pace


class Clocks:
    """Time, and the CPU of this thread and of all."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = self.own = self.others = 0
        patch.setattr(_pace, "monotonic_ns", lambda: self.now)
        patch.setattr(_pace, "thread_time_ns", lambda: self.own)
        patch.setattr(_pace, "process_time_ns", lambda: self.own + self.others)

    def work(self, pace: Pace, for_ns: int, *, others_share: float = 0.0) -> None:
        """Work, breathing each 10 µs, while other threads work as well."""
        for _ in range(for_ns // 10_000):
            self.now += 10_000
            self.own += 10_000
            self.others += int(10_000 * others_share)
            pace.breathe()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_while_others_run_each_slice_ends_in_a_nap(clocks: Clocks) -> None:
    naps: list[int] = []
    pace = Pace(lambda: naps.append(clocks.now))
    clocks.work(pace, 10_000_000, others_share=0.2)
    assert len(naps) == pytest.approx(10_000_000 / SLICE_NS, abs=2)


def test_alone_it_naps_seldom_but_does(clocks: Clocks) -> None:
    naps: list[int] = []
    pace = Pace(lambda: naps.append(clocks.now))
    clocks.work(pace, 10_000_000)
    assert 10 <= len(naps) <= 10_000_000 / _pace._ALONE_NS + 1
    assert max(after - before for before, after in pairwise(naps)) <= 500_000


def test_who_ran_lately_is_expected_to_come_back(clocks: Clocks) -> None:
    naps: list[int] = []
    pace = Pace(lambda: naps.append(clocks.now))
    clocks.work(pace, 1_000_000)
    clocks.others += 30_000
    naps.clear()
    clocks.work(pace, _pace._POLITE_NS // 2)
    assert len(naps) == pytest.approx(_pace._POLITE_NS / 2 / SLICE_NS, abs=2)
    clocks.work(pace, _pace._POLITE_NS)
    naps.clear()
    clocks.work(pace, 10 * _pace._ALONE_NS)
    assert len(naps) <= 11


def test_within_a_slice_nothing_is_asked_of_the_system(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace(lambda: None)
    clocks.now = 1
    pace.breathe()
    monkeypatch.setattr(_pace, "process_time_ns", lambda: pytest.fail("asked"))
    clocks.now += SLICE_NS - 1
    pace.breathe()

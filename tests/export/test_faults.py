"""Whatever the collector does: nothing vanishes uncounted, and no call waits over its deadline."""

from __future__ import annotations

from pathlib import Path

import pytest

from firsttoken.export import _retry
from tests.export.faults import FAULTS, SPANS, Fault, Result, run_ours

TIMEOUT_S = 0.8
# The promise is 50 ms; a machine that runs other tests as well gets some more before we call it broken.
LATE_S = 0.25


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.01)


def check(result: Result) -> None:
    counts = result.statistics
    assert counts is not None
    assert counts.ended == SPANS
    assert counts.waiting == 0
    assert counts.accepted + counts.spooled + sum(counts.dropped.values()) == SPANS
    assert result.stored == counts.spooled
    # At least once: a request whose answer was lost may have been taken and be counted elsewhere as well.
    assert len(result.received) >= counts.accepted
    assert result.flush_s <= TIMEOUT_S + LATE_S
    assert result.shutdown_s <= TIMEOUT_S + LATE_S


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_without_a_spool_what_is_not_delivered_is_dropped_and_counted(fault: Fault) -> None:
    result = run_ours(fault, None, TIMEOUT_S)
    check(result)
    counts = result.statistics
    assert counts.spooled == 0
    delivered = {"delivered": SPANS, "half": SPANS // 2}.get(fault.fate, 0)
    if fault.once and fault.fate == "kept":
        # The flush ran out of time, the shutdown had a second try.
        delivered = counts.accepted
    assert counts.accepted == delivered
    assert result.flushed is (fault.fate == "delivered")
    if fault.fate in ("refused", "rejected", "half"):
        assert counts.dropped == {"rejected": SPANS - delivered}
    elif delivered < SPANS:
        assert counts.dropped == {"shutdown": SPANS}
        assert result.shut_down is False


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_with_a_spool_only_what_the_collector_rejects_is_lost(fault: Fault, tmp_path: Path) -> None:
    result = run_ours(fault, tmp_path, TIMEOUT_S)
    check(result)
    counts = result.statistics
    assert result.flushed is (fault.fate not in ("rejected", "half"))
    assert result.shut_down is True
    if fault.fate in ("kept", "refused"):
        assert counts.spooled == SPANS
        assert not counts.dropped
    elif fault.fate == "delivered":
        assert counts.accepted + counts.spooled == SPANS
    else:
        assert counts.spooled == 0

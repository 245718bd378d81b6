"""The size of requests follows what a server takes, both ways."""

from __future__ import annotations

import pytest

from firsttoken._clock import NS_PER_S
from firsttoken.export import _cap
from firsttoken.export._batch import CAP_BYTES
from firsttoken.export._cap import RequestCap


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [0]
    monkeypatch.setattr(_cap, "monotonic_ns", lambda: now[0])
    return now


def test_half_of_what_was_refused_is_tried(clock: list[int]) -> None:
    cap = RequestCap()
    assert cap.read() == CAP_BYTES
    assert cap.lower(1_000_000)
    assert cap.read() == 500_000
    assert cap.lower(2_000_000)
    assert cap.read() == 250_000


def test_below_a_kilobyte_no_less_is_asked_for(clock: list[int]) -> None:
    cap = RequestCap()
    while cap.lower(CAP_BYTES):
        assert cap.read() >= 1024
    assert cap.read() == 1024


def test_after_a_while_requests_may_grow_again_step_by_step(clock: list[int]) -> None:
    cap = RequestCap()
    cap.lower(1_000_000)
    clock[0] += 299 * NS_PER_S
    assert cap.read() == 500_000
    clock[0] += NS_PER_S
    assert cap.read() == cap.read() == 1_000_000
    for _ in range(3):
        clock[0] += 300 * NS_PER_S
        cap.read()
    assert cap.read() == CAP_BYTES


def test_a_server_that_still_refuses_makes_it_wait_again(clock: list[int]) -> None:
    cap = RequestCap()
    cap.lower(1_000_000)
    clock[0] += 300 * NS_PER_S
    assert cap.read() == 1_000_000
    cap.lower(1_000_000)
    clock[0] += 299 * NS_PER_S
    assert cap.read() == 500_000

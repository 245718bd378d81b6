"""How long to wait between attempts."""

from __future__ import annotations

import pytest

from firsttoken._clock import NS_PER_S
from firsttoken.export._retry import LONGEST_RETRY_AFTER_S, OPEN_AFTER, Circuit


def waits_s(circuit: Circuit, chances: list[float]) -> list[float]:
    waits = []
    for chance in chances:
        circuit.failed(0, chance)
        waits.append(circuit.not_before_ns / NS_PER_S)
    return waits


def test_each_wait_is_twice_the_last_up_to_the_longest() -> None:
    assert waits_s(Circuit(), [0.5] * 7) == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_jitter_spreads_a_wait_by_a_fifth() -> None:
    assert waits_s(Circuit(), [0.0]) == pytest.approx([0.8])
    assert waits_s(Circuit(), [1.0]) == pytest.approx([1.2])


def test_opens_after_failures_in_a_row_and_closes_with_one_success() -> None:
    circuit = Circuit()
    for _ in range(OPEN_AFTER - 1):
        circuit.failed(0, 0.5)
    assert not circuit.is_open
    circuit.failed(0, 0.5)
    assert circuit.is_open
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.not_before_ns == 0


def test_a_server_that_asks_for_patience_gets_it_never_less() -> None:
    circuit = Circuit()
    circuit.failed(0, 0.0, retry_after_s=7)
    assert circuit.not_before_ns == 7 * NS_PER_S
    assert circuit.asked_to_wait


def test_patience_has_an_end() -> None:
    circuit = Circuit()
    circuit.failed(0, 0.0, retry_after_s=10**9)
    assert circuit.not_before_ns == LONGEST_RETRY_AFTER_S * NS_PER_S

"""The page about faults says what the tests show."""

from __future__ import annotations

import importlib

import pytest

from tests.export.faults import FAULTS, SPANS, Fault
from tests.export.reliability import ELSEWHERE, PAGE, RULES


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells if len(row) == 13}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_its_row_and_the_row_its_fate(fault: Fault) -> None:
    row = rows()[fault.name]
    accepted, dropped, said = int(row[3]), int(row[4]), row[5]
    with_accepted, with_spooled, with_dropped, with_said = int(row[7]), int(row[8]), int(row[9]), row[10]
    assert accepted + dropped == with_accepted + with_spooled + with_dropped == SPANS
    expected = {"delivered": SPANS, "half": SPANS // 2}.get(fault.fate, 0)
    if not (fault.once and fault.fate == "kept"):
        assert accepted == expected
    assert said == str(fault.fate == "delivered")
    assert with_dropped == {"rejected": SPANS, "half": SPANS // 2}.get(fault.fate, 0)
    assert with_said == str(fault.fate not in ("rejected", "half"))


def test_there_is_no_row_for_a_fault_that_is_gone() -> None:
    assert set(rows()) - {"fault", "---"} == {fault.name for fault in FAULTS}


@pytest.mark.parametrize(
    ("fault", "promise", "module", "test"), ELSEWHERE, ids=lambda value: str(value)[:30]
)
def test_every_test_that_is_named_exists(fault: str, promise: str, module: str, test: str) -> None:
    assert hasattr(importlib.import_module(f"tests.export.{module}"), test)
    assert fault in PAGE.read_text()


def test_the_rules_are_the_ones_written_here() -> None:
    assert PAGE.read_text().endswith(RULES)

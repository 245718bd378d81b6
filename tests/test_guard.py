"""The guard: our faults are counted and logged once, and go no further."""

from __future__ import annotations

import logging
import threading
from uuid import uuid4

import pytest

from firsttoken._guard import fault_counts, guarded, note_fault


@pytest.fixture
def kind() -> str:
    return f"do something for the first time {uuid4()}"


def test_an_exception_goes_no_further_and_is_counted(kind: str) -> None:
    for _ in range(3):
        with guarded(kind):
            raise RuntimeError
    assert fault_counts()[kind] == 3


def test_nothing_is_counted_where_nothing_fails(kind: str) -> None:
    with guarded(kind):
        pass
    assert kind not in fault_counts()


def test_an_interrupt_passes(kind: str) -> None:
    with pytest.raises(KeyboardInterrupt), guarded(kind):
        raise KeyboardInterrupt
    assert kind not in fault_counts()


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_on_a_thread_of_ours_nothing_passes(kind: str, error: type[BaseException]) -> None:
    def work() -> None:
        with guarded(kind):
            raise error

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert fault_counts()[kind] == 1


def test_on_the_main_thread_an_exit_passes(kind: str) -> None:
    """A SIGTERM handler that raises SystemExit may run at any line, inside the guard as well."""
    with pytest.raises(SystemExit), guarded(kind):
        raise SystemExit


def test_the_first_of_a_kind_is_logged_without_its_text(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    note_fault(kind, ValueError("the user's secret"))
    note_fault(kind, ValueError("the user's secret"))
    (line,) = [record.getMessage() for record in caplog.records if kind in record.getMessage()]
    assert "ValueError" in line
    assert "secret" not in line
    assert "secret" not in caplog.text


def test_the_traceback_is_logged_only_for_those_who_debug(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "firsttoken"), guarded(kind):
        raise ValueError
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_counts_are_a_copy(kind: str) -> None:
    fault_counts()[kind] = 7
    assert kind not in fault_counts()


def test_a_log_that_breaks_goes_no_further(kind: str) -> None:
    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the user's")

    logger = logging.getLogger("firsttoken")
    logger.addFilter(broken)
    try:
        with guarded(kind):
            raise ValueError
    finally:
        logger.removeFilter(broken)

"""Numbers and places as a person reads them."""

from __future__ import annotations

import pytest

from firsttoken.cli._rows import number, place, seconds, stall_lines

from .scenes import block, stall


@pytest.mark.parametrize(
    ("value_s", "read"),
    [
        (None, "-"),
        (0.0, "0 ms"),
        (0.0414, "41 ms"),
        (0.999, "999 ms"),
        (0.9996, "1.00 s"),
        (1.236, "1.24 s"),
    ],
)
def test_durations(value_s: float | None, read: str) -> None:
    assert seconds(value_s) == read


def test_numbers() -> None:
    assert [number(None), number(7), number(41.54, 1)] == ["-", "7", "41.5"]


def test_a_place_is_the_file_without_its_folders() -> None:
    assert place("/a/b/chat.py", 88, "save_log") == "chat.py:88 save_log"
    assert place("/a/b/chat.py", 88, None) == "chat.py:88"
    assert place(None, None, None) is None


def test_stalls_are_counted_by_cause_and_culprit() -> None:
    stalls = [block(), stall("consumer"), block(), stall("event_loop")]
    assert stall_lines(stalls) == ["2 event_loop chat.py:88 save_log", "1 consumer", "1 event_loop"]

"""Losses are told in the log once a minute; all of them are counted elsewhere."""

from __future__ import annotations

import pytest

from firsttoken._clock import NS_PER_S
from firsttoken.export import _alarm
from firsttoken.export._alarm import Alarm


def test_one_warning_a_minute_and_the_next_after_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0]
    monkeypatch.setattr(_alarm, "monotonic_ns", lambda: now[0])
    alarm = Alarm()
    for second in range(181):
        now[0] = second * NS_PER_S
        alarm.warn(f"second {second}")
    told = [record.getMessage().split(": ")[2].split(";")[0] for record in caplog.records]
    assert told == ["second 0", "second 60", "second 120", "second 180"]

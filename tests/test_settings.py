"""Settings: every wrong value is refused at once, and the message names the right ones."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken import ConfigError
from firsttoken._settings import CAPTURE_ENV, CAPTURE_MODES, Settings, capture_mode, one_of, positive


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("record", "half", "full, arrivals"),
        ("capture_content", "ALL", "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT"),
        ("metric_names", "both", "operation, inference"),
        ("error_outcomes", ("failed", "late"), "failed, cancelled, abandoned, truncated, interrupted"),
        ("error_outcomes", ("completed",), "failed, cancelled"),
        ("max_events", 0, "at least 1"),
        ("max_events", 1.5, "whole number"),
        ("max_events", "10", "whole number"),
        ("stall_threshold_s", 0, "above 0"),
        ("stall_threshold_s", -1.0, "above 0"),
        ("stall_threshold_s", float("nan"), "above 0"),
        ("stall_threshold_s", float("inf"), "above 0"),
        ("stall_threshold_s", True, "above 0"),
        ("stall_threshold_s", None, "above 0"),
        ("block_threshold_s", 0.0, "above 0"),
        ("block_threshold_s", "fast", "above 0"),
    ],
)
def test_a_wrong_value_is_refused_and_the_right_ones_are_named(name: str, value: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        Settings(**{name: value})
    assert named in str(caught.value)
    assert repr(value) in str(caught.value) or repr(value[-1]) in str(caught.value)


def test_the_event_loop_may_go_unwatched() -> None:
    assert Settings(block_threshold_s=None).block_threshold_s is None


@pytest.mark.parametrize(
    ("mode", "on_span", "on_events"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
def test_a_capture_mode_says_where_text_may_go(mode: Any, on_span: bool, on_events: bool) -> None:
    settings = Settings(capture_content=mode)
    assert (settings.captures_on_span, settings.captures_on_events) == (on_span, on_events)


@pytest.mark.parametrize(
    ("argument", "mode"),
    [
        (True, "SPAN_AND_EVENT"),
        (False, "NO_CONTENT"),
        ("span_only", "SPAN_ONLY"),
        *((mode, mode) for mode in CAPTURE_MODES),
    ],
)
def test_an_argument_names_the_capture_mode_whatever_the_environment_says(
    argument: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE_ENV, "EVENT_ONLY")
    assert capture_mode(argument) == mode


@pytest.mark.parametrize(
    ("value", "mode"),
    [(None, "NO_CONTENT"), ("", "NO_CONTENT"), ("true", "NO_CONTENT"), (" span_only ", "SPAN_ONLY")],
)
def test_a_bad_environment_variable_is_said_and_captures_nothing(
    value: str | None, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(CAPTURE_ENV, raising=False)
    if value is not None:
        monkeypatch.setenv(CAPTURE_ENV, value)
    assert capture_mode(None) == mode
    assert ("SPAN_AND_EVENT" in caplog.text) == (value == "true")


@pytest.mark.parametrize("argument", ["everything", 1, b"SPAN_ONLY"])
def test_an_argument_that_names_no_capture_mode_is_refused(argument: Any) -> None:
    with pytest.raises(ConfigError, match="SPAN_AND_EVENT"):
        capture_mode(argument)


def test_checks_pass_what_is_allowed() -> None:
    one_of("letter", "a", ("a", "b"))
    positive("delay_s", 1)
    positive("delay_s", 1e-9)


def test_a_bool_is_no_number_of_events() -> None:
    with pytest.raises(ConfigError):
        Settings(max_events=True)


def test_redact_must_be_callable() -> None:
    with pytest.raises(TypeError, match="redact"):
        Settings(redact="secret")  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold_s", [0.0001, 61.0])
def test_a_block_threshold_outside_the_monitors_bounds_is_refused(threshold_s: float) -> None:
    with pytest.raises(ConfigError, match=r"0\.001"):
        Settings(block_threshold_s=threshold_s)

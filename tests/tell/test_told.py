"""What is read back from a span is what was told, whoever made the span."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken import semconv
from firsttoken._tell.told import Told, ToldStall, told_of
from firsttoken._think.timeline import encode_timeline

STARTED_NS = 1_000_000_000


def read(attributes: dict[str, Any], *events: tuple[str, int, dict[str, Any]]) -> Told:
    return told_of(
        trace_id="a" * 32,
        span_id="b" * 16,
        started_ns=STARTED_NS,
        ended_ns=5_000_000_000,
        attributes=attributes,
        events=events,
    )


def test_stalls_are_read_back_with_their_cause_and_place() -> None:
    said = {
        semconv.STALL_CAUSE: "event_loop",
        semconv.STALL_DURATION: 0.5,
        semconv.WAIT: 0.1,
        semconv.HOLD: 0.0,
        semconv.LOOP_BLOCKED: 0.4,
    }
    place = {
        semconv.CODE_FILE_PATH: "/a/chat.py",
        semconv.CODE_LINE_NUMBER: 88,
        semconv.CODE_FUNCTION_NAME: "save_log",
        semconv.STALL_ORIGIN: "chat big",
    }
    told = read(
        {},
        (semconv.EVENT_STALL, 2_500_000_000, {**said, **place}),
        (semconv.EVENT_STALL, 3_000_000_000, said),
    )
    assert told.stalls == (
        ToldStall(1.5, 0.5, "event_loop", 0.1, 0.0, 0.4, "/a/chat.py", 88, "save_log", "chat big"),
        ToldStall(2.0, 0.5, "event_loop", 0.1, 0.0, 0.4, None, None, None),
    )


def test_milestones_are_read_back_as_times_from_the_start() -> None:
    told = read(
        {},
        (semconv.EVENT_FIRST_TOKEN, 1_500_000_000, {}),
        (semconv.EVENT_DONE, 4_000_000_000, {semconv.DONE_MARKER: "[DONE]"}),
        (semconv.EVENT_ERROR, 4_500_000_000, {}),
    )
    assert (told.time_to_first_token_s, told.done_s, told.error_s) == (0.5, 3.0, 3.5)
    assert told.done_marker == "[DONE]"


def test_an_attribute_goes_before_the_event_that_says_the_same() -> None:
    told = read({semconv.TIME_TO_FIRST_TOKEN: 0.25}, (semconv.EVENT_FIRST_TOKEN, 1_500_000_000, {}))
    assert told.time_to_first_token_s == 0.25


def test_content_begins_with_the_first_token_however_it_was_rounded() -> None:
    arrivals = [STARTED_NS + ns for ns in (100_000_000, 400_000_400, 500_000_000)]
    attributes = {
        semconv.TIMELINE: encode_timeline(arrivals, STARTED_NS, lambda: None),
        semconv.TIME_TO_FIRST_TOKEN: 0.400_000_4,
    }
    told = read(attributes)
    assert told.arrivals_s == (0.1, 0.4, 0.5)
    assert told.content_arrivals_s == (0.4, 0.5)
    assert read({semconv.TIMELINE: attributes[semconv.TIMELINE]}).content_arrivals_s == ()


def test_a_timeline_that_is_full_is_read() -> None:
    arrivals = range(STARTED_NS, STARTED_NS + 120_000 * 20_000_000, 20_000_000)
    told = read({semconv.TIMELINE: encode_timeline(arrivals, STARTED_NS, lambda: None)})
    assert 60_000 < len(told.arrivals_s) < 120_000
    assert told.arrivals_s[1] == 0.02


def test_without_a_timeline_the_chunk_events_tell_the_arrivals() -> None:
    told = read(
        {},
        (semconv.EVENT_CHUNK, 1_200_000_000, {semconv.COALESCED: 3}),
        (semconv.EVENT_CHUNK, 1_100_000_000, {}),
    )
    assert told.arrivals_s == (0.1, 0.2)
    assert told.chunk_event_count == 4


def test_what_was_not_said_is_absent() -> None:
    told = read({})
    assert (told.outcome, told.wait_s, told.chunk_count, told.stalls) == ("untold", 0.0, 0, ())
    assert told.time_to_first_token_s is told.output_tokens is told.hold_s is told.model is None


@pytest.mark.parametrize(
    "timeline",
    ["no base64!", "gICA", "gICAgICAgICAgICAgICAgICAAQ==", "A" * 400_000, b"AA==", 7, None],
    ids=lambda timeline: repr(timeline)[:20],
)
def test_a_timeline_that_nobody_of_us_wrote_is_none(timeline: Any) -> None:
    assert read({semconv.TIMELINE: timeline}).arrivals_s == ()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    st.lists,
    max_leaves=3,
)
KEYS = [value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)]


@given(
    st.dictionaries(st.sampled_from(KEYS), ANYTHING),
    st.lists(
        st.tuples(
            st.sampled_from(KEYS), st.integers(0, 2**63), st.dictionaries(st.sampled_from(KEYS), ANYTHING)
        )
    ),
)
def test_nothing_that_a_span_says_is_an_error(
    attributes: dict[str, Any], events: list[tuple[str, int, dict[str, Any]]]
) -> None:
    told = read(attributes, *events)
    assert isinstance(told.outcome, str)
    assert all(each is None or isinstance(each, float) for each in (told.wait_s, told.gap_max_s))

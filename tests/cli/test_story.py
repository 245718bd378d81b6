"""The sentences a run ends with say what the spans say, and nothing else."""

from __future__ import annotations

from firsttoken.cli._plan import Role
from firsttoken.cli._story import story

from .scenes import block, row, stall, told


def test_a_blocked_loop_is_told_with_its_line_and_what_it_cost_the_others() -> None:
    rows = [
        row(Role.HEALTHY, told(stalls=(block(1.0), block(2.0)))),
        row(Role.LEAVER, told("cancelled", stalls=(block(1.0),))),
        row(Role.BLOCKER, told(stalls=(block(1.0), block(2.0)))),
    ]
    assert story(rows)[0] == (
        "Stream 5 blocked the event loop twice, 800 ms in all, at chat.py:88 in save_log; "
        "it cost streams 1 and 3 1.20 s together."
    )


def test_blocks_that_several_blockers_saw_are_not_counted_twice() -> None:
    both = told(stalls=(block(1.0), block(2.0), block(3.0)))
    (line,) = story([row(Role.BLOCKER, both, 5), row(Role.BLOCKER, both, 10)])
    assert (
        line == "Streams 5 and 10 blocked the event loop 3 times, 1.20 s in all, at chat.py:88 in save_log."
    )


def test_a_block_without_a_culprit_is_blamed_on_nobody() -> None:
    rows = [row(Role.HEALTHY, told(stalls=(stall("event_loop", duration_s=0.3),)))]
    assert story(rows) == ["The event loop stood still for 300 ms with none of the app's code to blame."]


def test_many_streams_are_counted_not_listed() -> None:
    rows = [row(Role.HEALTHY, told(stalls=(block(),)), number) for number in range(1, 9)]
    assert (
        "it cost 8 streams 3.20 s together" in story([*rows, row(Role.BLOCKER, told(stalls=(block(),)))])[0]
    )


def test_a_slow_reader_is_told_apart_from_a_slow_model() -> None:
    rows = [row(Role.SLOW, told(stalls=(stall("consumer", duration_s=1.2),)))]
    assert story(rows) == [
        "Stream 2's reader looked away and held it up for 1.20 s: the model was not slow."
    ]


def test_a_slow_reader_that_nobody_felt_is_told_as_such() -> None:
    assert story([row(Role.SLOW, told())]) == [
        "Stream 2's reader was slow, but the buffers in between held all that it left unread."
    ]
    assert story([row(Role.SLOW, told("failed"))]) == ["Nothing out of the ordinary happened."]


def test_a_client_that_left_took_the_app_with_it() -> None:
    assert story([row(Role.LEAVER, told("cancelled"))]) == [
        "Stream 3's client left after 2.00 s, and 3 ms later the app hung up on the model as well: "
        "cancelled, not failed."
    ]


def test_a_client_that_left_after_the_model_was_done_is_no_story() -> None:
    assert story([row(Role.LEAVER, told("completed"), ended="complete")]) == [
        "Nothing out of the ordinary happened."
    ]


def test_an_upstream_that_broke_is_told_with_the_error_and_one_that_just_ended_without() -> None:
    silence = (stall("provider", duration_s=0.6),)
    rows = [
        row(Role.BROKEN, told("failed", silence, error_type="httpx.RemoteProtocolError"), 4),
        row(Role.BROKEN, told("truncated"), 9, ended="cut short"),
        row(Role.BROKEN, told("failed"), 14),
    ]
    assert story(rows) == [
        "Stream 4's upstream fell silent for 600 ms and broke off after 4 chunks: "
        "failed (httpx.RemoteProtocolError).",
        "Stream 9's upstream just ended after 4 chunks: truncated, for want of an end mark.",
    ]


def test_a_stream_without_a_span_has_no_story() -> None:
    assert story([row(role, None) for role in Role]) == ["Nothing out of the ordinary happened."]

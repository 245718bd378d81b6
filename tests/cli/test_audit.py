"""A run fails when anything was lost, and only then."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from firsttoken.cli._audit import expected_outcomes, losses, whole_outcome
from firsttoken.cli._plan import Plan, Role
from firsttoken.cli._rows import Row

from .scenes import PLAN, row, told

CORPUS = Path(__file__).parent.parent / "corpus"
SPAN = ReadableSpan("chat scripted-1")


def right(role: Role) -> Row:
    """Return a stream that ended as its role says."""
    outcome = {Role.LEAVER: "cancelled", Role.BROKEN: "failed"}.get(role, "completed")
    number = list(Role).index(role) + 1
    return row(role, told(outcome, output_tokens=PLAN.tokens(number)))


def lost(each: Row, spans: int = 1, plan: Plan = PLAN) -> list[str]:
    return losses([each], plan, "completed", {each.part.number: [SPAN] * spans})


@pytest.mark.parametrize("role", list(Role))
def test_nothing_is_lost_when_all_ended_as_their_roles_say(role: Role) -> None:
    assert lost(right(role)) == []


@pytest.mark.parametrize(
    ("role", "outcome"),
    [
        (Role.HEALTHY, "truncated"),
        (Role.SLOW, "cancelled"),
        (Role.LEAVER, "completed"),
        (Role.LEAVER, "failed"),
        (Role.BROKEN, "completed"),
        (Role.BLOCKER, "interrupted"),
    ],
)
def test_an_outcome_the_role_does_not_allow_is_a_loss(role: Role, outcome: str) -> None:
    each = right(role)
    assert each.told is not None
    (line,) = lost(replace(each, told=replace(each.told, outcome=outcome)))
    assert f"({role}) is told as {outcome}, not " in line


@pytest.mark.parametrize("spans", [0, 2])
def test_a_stream_without_its_one_span_is_a_loss(spans: int) -> None:
    each = right(Role.HEALTHY) if spans else replace(right(Role.HEALTHY), told=None)
    assert lost(each, spans) == [f"stream 1 (healthy) has {spans} spans, not 1"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"chunk_event_count": 3}, "4 chunks, but chunk events for 3 and a timeline of 4"),
        ({"arrivals_s": (0.1, 0.2)}, "4 chunks, but chunk events for 4 and a timeline of 2"),
        ({"output_tokens": 1}, "1 tokens told, "),
        ({"output_tokens": None}, "None tokens told, "),
    ],
)
def test_numbers_that_do_not_agree_are_a_loss(wrong: dict[str, Any], says: str) -> None:
    each = right(Role.HEALTHY)
    assert each.told is not None
    (line,) = lost(replace(each, told=replace(each.told, **wrong)))
    assert says in line


def test_a_client_that_got_other_bytes_is_a_loss() -> None:
    each = right(Role.HEALTHY)
    assert lost(replace(each, report={**each.report, "sha256": "other"})) == [
        "stream 1 (healthy): the client got other bytes than the upstream sent"
    ]


@pytest.mark.parametrize(
    ("role", "ended"), [(Role.SLOW, "stopped at the deadline"), (Role.LEAVER, "read to the end")]
)
def test_a_client_that_did_something_else_is_a_loss(role: Role, ended: str) -> None:
    each = right(role)
    each.seen.ended = ended
    assert lost(each) == [f"stream {each.part.number} ({role}): its client {ended}"]


def test_a_refusal_is_told_as_the_upstream_said_it() -> None:
    each = row(Role.HEALTHY, told("failed"), ended="refused: http://127.0.0.1:1/v1 answered 401")
    assert lost(each) == ["stream 1 (healthy): refused: http://127.0.0.1:1/v1 answered 401"]


def test_a_client_that_leaves_when_the_app_has_it_all_may_leave_a_whole_stream() -> None:
    leaver = PLAN.part(3)
    gone = {"cancelled"} if sys.version_info >= (3, 11) else {"cancelled", "abandoned"}
    assert expected_outcomes(leaver, PLAN, "completed", "app left") == gone
    assert expected_outcomes(leaver, PLAN, "completed", "complete") == {*gone, "completed"}


def test_an_upstream_that_ends_as_if_whole_leaves_a_truncated_stream() -> None:
    plan = replace(PLAN, streams=10)
    assert expected_outcomes(plan.part(9), plan, "completed") == {"truncated"}


@pytest.mark.parametrize(
    ("file", "outcome"),
    [
        ("anthropic-thinking-tools.sse", "completed"),
        ("anthropic-overloaded.sse", "failed"),
        ("ollama-chat-tools.ndjson", "completed"),
        ("bedrock-converse-text.eventstream", "completed"),
    ],
)
def test_what_a_recorded_body_comes_to_is_found_by_reading_it_in_one_piece(file: str, outcome: str) -> None:
    assert whole_outcome(replace(PLAN, kind="replay", file=str(CORPUS / file))) == outcome

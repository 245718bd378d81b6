"""Who reads, from what, for how long."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.cli._plan import MIN_SECONDS, Plan, Role

from .scenes import PLAN


def test_the_five_roles_come_in_turn() -> None:
    parts = Plan("script", 12, 8.0, 1).parts
    assert [part.number for part in parts] == list(range(1, 13))
    assert [part.role for part in parts] == [*Role, *Role, Role.HEALTHY, Role.SLOW]
    assert [part.turn for part in parts] == [0] * 5 + [1] * 5 + [2] * 2


def test_only_the_upstreams_that_break_are_cut_and_every_other_one_ends_as_if_whole() -> None:
    plan = Plan("script", 20, 8.0, 1)
    cuts = {part.number: plan.cut(part.number) for part in plan.parts}
    assert {number: cut.cleanly for number, cut in cuts.items() if cut} == {
        4: False,
        9: True,
        14: False,
        19: True,
    }
    assert all(cut.after_bytes < plan.size(number) for number, cut in cuts.items() if cut)


def test_clients_leave_and_look_away_in_the_middle_of_the_answer() -> None:
    for part in PLAN.parts:
        leaves, looks_away = PLAN.leave_after(part), PLAN.pause_after(part)
        assert (leaves is not None) == (part.role is Role.LEAVER)
        assert (looks_away is not None) == (part.role is Role.SLOW)
        assert 0 < (leaves or looks_away or 1) < PLAN.size(part.number)


def test_the_slow_reader_has_the_fast_model() -> None:
    assert (PLAN.tokens(2) or 0) > 2 * (PLAN.tokens(1) or 0)


@given(st.integers(1, 500), st.floats(MIN_SECONDS, 60.0))
def test_the_loop_is_never_blocked_for_most_of_a_run(streams: int, seconds: float) -> None:
    plan = Plan("script", streams, seconds, 1)
    blocks = 2 if plan.log_every_s < plan.answer_s / 2 else 1
    blockers = sum(part.role is Role.BLOCKER for part in plan.parts)
    assert blockers * blocks * plan.block_s <= 0.3 * plan.answer_s + 1e-9


@pytest.mark.parametrize("streams", [5, 9])
def test_in_a_run_of_default_length_a_block_is_a_stall_for_everybody(streams: int) -> None:
    assert Plan("script", streams, 8.0, 1).block_s > 0.4


def test_child_and_parent_plan_the_same(tmp_path: Path) -> None:
    file = tmp_path / "body.ndjson"
    file.write_bytes(b'{"a": 1}\n' * 30)
    for plan in (PLAN, Plan("replay", 5, 8.0, 1, file=str(file))):
        again = Plan(**asdict(plan))
        assert again == plan
        assert [*again.wire(3)] == [*plan.wire(3)]


def test_a_relayed_run_lasts_no_longer_than_asked() -> None:
    plan = Plan("relay", 5, 20.0, 1, model="m", url="http://127.0.0.1:1/v1/chat/completions")
    assert plan.deadline_s == 20.0
    assert (plan.wire(1), plan.tokens(1)) == ([], None)
    assert plan.size(1) > 0

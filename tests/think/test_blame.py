"""The innermost cause wins, and every nanosecond is somebody's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firsttoken._think.blame import (
    CONSUMER,
    EVENT_LOOP,
    PROVIDER,
    RANK,
    STAGE,
    THREAD_POOL,
    Claim,
    Layer,
    Share,
    blame,
    both,
    without,
)


def call(*waits: tuple[int, int], **more: object) -> Layer:
    return Layer("chat", PROVIDER, waits, **more)  # type: ignore[arg-type]


def step(*below: Layer, waits: tuple[tuple[int, int], ...] = ((0, 100),), **more: object) -> Layer:
    return Layer("step", STAGE, waits, below=below, **more)  # type: ignore[arg-type]


def operator(*below: Layer, known: tuple[Claim, ...] = ()) -> Layer:
    return Layer("buffer", None, [(0, 100)], known, below=below)


def test_a_stream_with_nothing_below_waits_for_its_provider() -> None:
    assert blame([(0, 70)], [(70, 100)], [], call()) == (
        Share(PROVIDER, "chat", 70),
        Share(CONSUMER, "chat", 30),
    )


def test_a_stage_that_waits_for_a_call_that_waits_blames_the_provider_of_that_call() -> None:
    assert blame([(0, 100)], [], [], step(call((10, 90)))) == (
        Share(PROVIDER, "chat", 80),
        Share(STAGE, "step", 20),
    )


def test_a_stage_that_is_slow_while_its_source_is_held_blames_itself() -> None:
    assert blame([(0, 100)], [], [], step(call((0, 10))))[0] == Share(STAGE, "step", 90)


def test_an_operator_between_two_stages_only_passes_on() -> None:
    chain = step(operator(Layer("below", STAGE, [(0, 60)], below=[call((0, 50))])))
    assert blame([(0, 100)], [], [], chain) == (
        Share(STAGE, "step", 40),
        Share(STAGE, "below", 10),
        Share(PROVIDER, "chat", 50),
    )


def test_the_sum_over_a_cause_decides_which_is_named_first() -> None:
    chain = step(Layer("below", STAGE, [(0, 45)], below=[call((0, 45))]))
    assert blame([(0, 100)], [], [], chain)[0].cause == STAGE


def test_a_wait_for_a_worker_thread_is_the_pools() -> None:
    waiting = (Claim(20, 80, THREAD_POOL, "look up"),)
    assert blame([(0, 100)], [], [], step(call((0, 100)), known=waiting)) == (
        Share(THREAD_POOL, "look up", 60),
        Share(PROVIDER, "chat", 40),
    )


def test_a_branch_that_waits_because_another_is_full_blames_that_consumer() -> None:
    full = (Claim(0, 90, CONSUMER, "tee, branch 1"),)
    assert blame([(0, 100)], [], [], step(operator(call((0, 100)), known=full)))[0] == Share(
        CONSUMER, "tee, branch 1", 90
    )


def test_of_several_sources_the_one_that_delivered_was_waited_for() -> None:
    late = Layer("late", PROVIDER, [(0, 100)], delivered_ns=99)
    never = Layer("never", PROVIDER, [(0, 100)])
    for sources in ([late, never], [never, late]):
        assert blame([(0, 100)], [], [], step(operator(*sources))) == (Share(PROVIDER, "late", 100),)


def test_sources_one_after_the_other_each_have_their_time() -> None:
    first = Layer("first", PROVIDER, [(0, 40)], delivered_ns=40)
    second = Layer("second", PROVIDER, [(40, 90)], delivered_ns=90)
    assert blame([(0, 100)], [], [], step(first, second)) == (
        Share(PROVIDER, "second", 50),
        Share(PROVIDER, "first", 40),
        Share(STAGE, "step", 10),
    )


def test_nobody_is_to_blame_while_the_event_loop_is_blocked() -> None:
    assert blame([(0, 80)], [(80, 100)], [(10, 90)], step(call((0, 80)))) == (
        Share(EVENT_LOOP, "step", 80),
        Share(CONSUMER, "step", 10),
        Share(PROVIDER, "chat", 10),
    )


def test_on_a_tie_the_cause_the_user_can_mend_is_first() -> None:
    assert [share.cause for share in blame([(0, 50)], [(50, 100)], [], call())] == [CONSUMER, PROVIDER]
    assert RANK[0] == EVENT_LOOP


times = st.lists(st.integers(0, 200), max_size=12, unique=True).map(
    lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)
claims = times.flatmap(
    lambda spans: st.just([Claim(begin, end, THREAD_POOL, "pool") for begin, end in spans])
)
leaves = st.builds(
    Layer,
    name=st.sampled_from("abc"),
    own=st.sampled_from([PROVIDER, STAGE, None]),
    waits=times,
    known=claims,
    delivered_ns=st.none() | st.integers(0, 200),
    below=st.just(()),
)
layers = st.recursive(
    leaves,
    lambda below: st.builds(
        Layer,
        name=st.sampled_from("def"),
        own=st.sampled_from([PROVIDER, STAGE, None]),
        waits=times,
        known=claims,
        delivered_ns=st.none() | st.integers(0, 200),
        below=st.lists(below, max_size=3),
    ),
    max_leaves=6,
)


def length(spans: list[tuple[int, int]]) -> int:
    return sum(end - begin for begin, end in spans)


@given(times, times, times, layers)
def test_shares_sum_to_the_gap(
    spent: list[tuple[int, int]],
    cuts: list[tuple[int, int]],
    blocks: list[tuple[int, int]],
    layer: Layer,
) -> None:
    waits, holds = both(spent, cuts), without(spent, cuts)
    shares = blame(waits, holds, blocks, layer)
    assert sum(share.duration_ns for share in shares) == length(spent)
    blocked = sum(share.duration_ns for share in shares if share.cause == EVENT_LOOP)
    assert blocked == length(both(spent, blocks))
    assert all(share.duration_ns > 0 for share in shares)


@given(times, times)
def test_both_and_without_take_a_span_apart(
    spans: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    inside, outside = both(spans, others), without(spans, others)
    moments = {moment for begin, end in spans for moment in range(begin, end)}
    other_moments = {moment for begin, end in others for moment in range(begin, end)}
    assert {moment for begin, end in inside for moment in range(begin, end)} == moments & other_moments
    assert {moment for begin, end in outside for moment in range(begin, end)} == moments - other_moments
    assert length(inside) + length(outside) == length(spans)

"""Whose line, and what kind of block: judged from made-up stacks and times."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.blocking._culprit import (
    MAX_DISTINCT_STACKS,
    MAX_STACK,
    Frame,
    LoopBlock,
    Origin,
    Samples,
    Stack,
    estimate_start,
    judge_kind,
    origin,
)

STDLIB = sysconfig.get_path("stdlib")
LIBRARY = os.path.join(sysconfig.get_path("purelib"), "requests", "api.py")
OURS = os.path.join(os.path.dirname(origin.__wrapped__.__code__.co_filename), "_stream.py")

HANDLER = Frame("/app/chat.py", 10, "handler")
WRITE = Frame("/app/log.py", 41, "write")
RENDER = Frame("/app/html.py", 7, "render")
GET = Frame(LIBRARY, 73, "get")
SOCKET = Frame(os.path.join(STDLIB, "socket.py"), 705, "readinto")
SELECT = Frame(os.path.join(STDLIB, "selectors.py"), 468, "select")
PULL = Frame(OURS, 5, "pull")


def sampled(*weighted: tuple[Stack, int]) -> Samples:
    samples = Samples()
    for stack, weight_ns in weighted:
        samples.add(stack, weight_ns)
    return samples


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("/app/chat.py", Origin.USER),
        ("chat.py", Origin.USER),
        ("<stdin>", Origin.USER),
        ("<ipython-input-3-abc>", Origin.USER),
        (LIBRARY, Origin.LIBRARY),
        ("/elsewhere/venv/lib/python3.11/site-packages/httpx/_client.py", Origin.LIBRARY),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", Origin.LIBRARY),
        ("<string>", Origin.LIBRARY),
        ("<attrs generated init app.Chat>", Origin.LIBRARY),
        ("<frozen importlib._bootstrap>", Origin.STDLIB),
        (os.path.join(STDLIB, "asyncio", "events.py"), Origin.STDLIB),
        (OURS, Origin.OURS),
    ],
)
def test_a_file_is_the_users_unless_it_is_installed_generated_standard_or_ours(
    file: str, whose: Origin
) -> None:
    assert origin(file) is whose


def test_user_paths_claim_an_installed_application_and_nothing_beside_it() -> None:
    application = os.path.join(sysconfig.get_path("purelib"), "chat")
    assert origin(os.path.join(application, "api.py"), (application,)) is Origin.USER
    assert origin(application + "_tools/api.py", (application,)) is Origin.LIBRARY
    assert origin(LIBRARY, (application, LIBRARY)) is Origin.USER


def test_the_innermost_user_frame_answers_for_what_it_calls() -> None:
    culprit = sampled(((SOCKET, GET, WRITE, PULL, HANDLER), 10)).culprit()
    assert culprit is not None
    assert culprit.frame == WRITE
    assert culprit.share == 1.0


def test_user_code_is_preferred_to_a_library_frame_further_in() -> None:
    culprit = sampled(((GET, HANDLER), 10), ((HANDLER,), 1)).culprit()
    assert culprit is not None
    assert culprit.frame == HANDLER


def test_the_function_that_holds_most_of_the_time_beats_the_one_seen_last() -> None:
    culprit = sampled(((WRITE, HANDLER), 90), ((RENDER, HANDLER), 10)).culprit()
    assert culprit is not None
    assert culprit.frame == WRITE
    assert culprit.share == pytest.approx(0.9)


def test_helpers_that_share_the_time_leave_it_to_their_caller() -> None:
    helpers = [Frame("/app/parse.py", line, f"part_{line}") for line in (1, 2, 3)]
    culprit = sampled(*(((helper, HANDLER), 10) for helper in helpers)).culprit()
    assert culprit is not None
    assert culprit.frame == HANDLER
    assert culprit.share == 1.0


def test_within_the_culprit_the_line_seen_longest_is_named() -> None:
    here, there = WRITE._replace(line=50), WRITE._replace(line=60)
    culprit = sampled(((here, HANDLER), 10), ((there, HANDLER), 30), ((SOCKET, here, HANDLER), 5)).culprit()
    assert culprit is not None
    assert culprit.frame == there
    assert culprit.stack == (there, HANDLER)


def test_a_function_that_calls_itself_counts_once_and_by_its_innermost_line() -> None:
    outer, inner = WRITE._replace(line=1), WRITE._replace(line=2)
    culprit = sampled(((inner, outer, outer, HANDLER), 10)).culprit()
    assert culprit is not None
    assert culprit.frame == inner
    assert culprit.share == 1.0


def test_without_user_code_the_innermost_library_frame_is_named() -> None:
    outer = Frame(LIBRARY, 12, "request")
    culprit = sampled(((SOCKET, GET, outer), 10)).culprit()
    assert culprit is not None
    assert culprit.frame == GET


@pytest.mark.parametrize("stack", [(), (SELECT,), (PULL, SELECT)])
def test_nobody_is_blamed_where_only_the_standard_library_or_we_were_seen(stack: Stack) -> None:
    assert sampled((stack, 10)).culprit() is None


def test_nobody_is_blamed_for_a_loop_that_was_idle_most_of_the_time() -> None:
    assert sampled(((), 60), ((WRITE, HANDLER), 40)).culprit() is None


def test_among_many_short_callbacks_the_one_with_most_time_is_named_with_its_small_share() -> None:
    callbacks = [Frame("/app/tasks.py", line, f"callback_{line}") for line in range(5)]
    culprit = sampled(*(((callback,), 10 + callback.line) for callback in callbacks)).culprit()
    assert culprit is not None
    assert culprit.frame == callbacks[-1]
    assert culprit.share == pytest.approx(14 / 60)


def test_no_samples_name_nobody() -> None:
    assert Samples().culprit() is None
    assert Samples().heaviest() == ()


def test_samples_keep_a_bounded_number_of_stacks_and_all_of_the_time() -> None:
    frames = [Frame("/app/many.py", line, f"f{line}") for line in range(3 * MAX_DISTINCT_STACKS)]
    samples = sampled(*(((frame,), 10) for frame in frames))
    assert samples.total_ns == 30 * MAX_DISTINCT_STACKS
    culprit = samples.culprit()
    assert culprit is None or culprit.frame in frames[:MAX_DISTINCT_STACKS]


def test_a_stop_in_a_debugger_is_noticed_until_the_samples_are_cleared() -> None:
    samples = sampled(
        ((Frame(os.path.join(STDLIB, "pdb.py"), 1, "interaction"), HANDLER), 10), ((HANDLER,), 5)
    )
    assert samples.debugged
    samples.clear()
    assert not samples.debugged
    assert samples.total_ns == 0


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        ({"cpu_ns": 95, "gc_ns": 0, "waited_ns": 0}, "cpu"),
        ({"cpu_ns": 130, "gc_ns": 0, "waited_ns": 100}, "cpu"),
        ({"cpu_ns": 95, "gc_ns": 60, "waited_ns": 0}, "gc"),
        ({"cpu_ns": 2, "gc_ns": 0, "waited_ns": 5}, "io"),
        ({"cpu_ns": 40, "gc_ns": 0, "waited_ns": 0}, "io"),
        ({"cpu_ns": 2, "gc_ns": 0, "waited_ns": 90}, "gil_or_cpu_wait"),
        ({"cpu_ns": 30, "gc_ns": 0, "waited_ns": 60}, "gil_or_cpu_wait"),
    ],
)
def test_the_kind_is_what_took_most_of_the_time(times: dict[str, int], kind: str) -> None:
    assert judge_kind(100, **times) == kind


TIMES = st.integers(min_value=0, max_value=10**12)


@given(TIMES, TIMES, TIMES, st.none() | TIMES)
def test_a_block_starts_between_the_last_sign_of_life_and_the_silence(
    alive_ns: int, after_ns: int, silence_ns: int, cpu_ns: int | None
) -> None:
    silent_ns = alive_ns + after_ns
    started_ns = estimate_start(
        silent_ns + silence_ns, alive_ns=alive_ns, silent_ns=silent_ns, busy_ns=cpu_ns
    )
    assert alive_ns <= started_ns <= silent_ns


def test_a_block_that_computed_starts_as_long_before_its_end_as_it_computed() -> None:
    assert estimate_start(1000, alive_ns=800, silent_ns=900, busy_ns=130) == 870
    assert estimate_start(1000, alive_ns=800, silent_ns=900, busy_ns=None) == 850


def block(culprit: Any, stack: Stack) -> LoopBlock:
    return LoopBlock.of(culprit, stack, 1, 100, 350, "io", None)


def test_a_block_names_its_culprit_and_its_stack_outermost_first() -> None:
    culprit = sampled(((SOCKET, WRITE, HANDLER), 10)).culprit()
    assert culprit is not None
    told = block(culprit, culprit.stack)
    assert (told.file, told.line, told.function) == WRITE
    assert told.stack[0] == "/app/chat.py:10 handler"
    assert told.stack[-1].endswith("socket.py:705 readinto")
    assert told.duration_ns == 250


def test_a_block_without_culprit_keeps_the_innermost_part_of_its_stack() -> None:
    deep = tuple(Frame(os.path.join(STDLIB, "re.py"), line, "match") for line in range(2 * MAX_STACK))
    told = block(None, deep)
    assert (told.file, told.line, told.function, told.share) == (None, None, None, 0.0)
    assert len(told.stack) == MAX_STACK
    assert told.stack[-1] == str(deep[0])

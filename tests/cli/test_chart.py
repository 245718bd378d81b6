"""The gap chart: all streams on one time axis."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from firsttoken.cli._chart import CAUSES, Line, chart, seen_lines, told_lines
from firsttoken.cli._clients import Seen
from firsttoken.cli._plan import Role
from firsttoken.cli._sparkline import ASCII, BLOCKS

from .scenes import PLAN, STARTED_NS, block, row, told


def shown(
    lines: list[Line],
    span_s: float,
    width: int = 58,
    ramp: str = BLOCKS,
    *,
    color: bool = False,
    **more: bool,
) -> list[str]:
    console = Console(
        file=StringIO(), width=120, force_terminal=color, color_system="standard" if color else None
    )
    console.print(chart(lines, span_s, width, ramp, **more))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO


def drawn(line: str) -> str:
    return line[18:]


def test_dots_until_the_first_token_then_gaps_then_nothing() -> None:
    early = row(
        Role.HEALTHY, told(time_to_first_token_s=1.0, arrivals_s=(0.5, 1.0, 1.1, 2.0), duration_s=2.0)
    )
    late = row(
        Role.SLOW, told(started_ns=STARTED_NS + 2_000_000_000, duration_s=2.0, arrivals_s=(0.5, 1.0))
    )
    _, first, second = shown(told_lines([early, late]), 4.0)
    assert first.startswith(" 1 healthy")
    assert drawn(first) == "·" * 10 + "▄" + "█" * 10 + " " * 19
    assert drawn(second)[:20] == " " * 20
    assert drawn(second)[20:25] == "·" * 5


def test_a_stall_has_the_colour_of_its_cause() -> None:
    stalled = told(
        time_to_first_token_s=0.1, arrivals_s=(0.1, 1.0, 1.4), stalls=(block(1.0, 0.4),), duration_s=2.0
    )
    legend, line = shown(told_lines([row(Role.HEALTHY, stalled)]), 2.0, color=True)
    assert set(CAUSES) <= set(legend.replace("\x1b[0m", " ").split())
    assert "\x1b[1;31m" in line
    assert "\x1b[32m" in line


def test_without_colours_no_cause_is_explained_by_one() -> None:
    stalled = told_lines([row(Role.HEALTHY, told(stalls=(block(1.0, 0.4),)))])
    legend, *_ = shown(stalled, 4.0, has_colour=False)
    assert not [cause for cause in CAUSES if cause in legend]
    assert legend.strip() == "gaps in 4.0 s: ▁ 20 ms to █ 3.58 s"


def test_a_plain_terminal_gets_plain_characters() -> None:
    lines = shown(told_lines([row(Role.HEALTHY, told())]), 4.0, ramp=ASCII)
    assert all(line.isascii() for line in lines)


def test_while_it_runs_the_waiting_goes_on_until_now() -> None:
    waiting, reading = Seen(PLAN.part(1)), Seen(PLAN.part(2))
    waiting.asked_s = reading.asked_s = 100.0
    reading.arrivals_s = [100.5, 101.0, 101.15]
    _, first, second = shown(seen_lines([waiting, reading], now_s=101.5), 4.0)
    assert drawn(first).rstrip() == "·" * 15
    assert drawn(second).rstrip() == "·" * 10 + "██"


def test_before_anybody_asked_there_is_nothing_to_draw() -> None:
    _, line = shown(seen_lines([Seen(PLAN.part(1))], now_s=5.0), 4.0)
    assert line.split() == ["1", "healthy"]


def test_a_stream_that_never_had_a_token_is_all_waiting() -> None:
    silent = told("failed", time_to_first_token_s=None, arrivals_s=(), chunk_count=0, duration_s=4.0)
    _, line = shown(told_lines([row(Role.HEALTHY, silent)]), 4.0)
    assert set(drawn(line).strip()) == {"·"}

"""The table a run ends with, as a terminal shows it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from firsttoken.cli._clients import Seen
from firsttoken.cli._plan import Role
from firsttoken.cli._table import seen_table, told_table

from .scenes import PLAN, block, row, stall, told


def shown(renderable: RenderableType, width: int) -> str:
    console = Console(file=StringIO(), width=width, legacy_windows=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


ROWS = [
    row(Role.HEALTHY, told(stalls=(block(1.0), block(2.0)))),
    row(Role.SLOW, told(stalls=(stall("consumer"), block()))),
    row(Role.LEAVER, told("cancelled", output_tokens=None, tokens_per_second=None)),
    row(Role.BROKEN, None),
]


def test_a_row_says_outcome_times_tokens_gaps_and_stalls() -> None:
    healthy, slow, more, leaver, broken = shown(told_table(ROWS), 120).splitlines()[4:9]
    assert healthy.split("  ") != []
    assert healthy.split() == (
        [
            "1",
            "healthy",
            "completed",
            "400",
            "ms",
            "100",
            "41.5",
            "45",
            "ms",
            "500",
            "ms",
            "2",
            "event_loop",
            "chat.py:88",
            "save_log",
        ]
    )
    assert slow.split()[-2:] == ["1", "consumer"]
    assert more.split() == ["1", "event_loop", "chat.py:88", "save_log"]
    assert leaver.split() == [
        "3",
        "leaves",
        "early",
        "cancelled",
        "400",
        "ms",
        "-",
        "-",
        "45",
        "ms",
        "500",
        "ms",
        "none",
    ]
    assert broken.split() == ["4", "upstream", "cut", "no", "span"]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_cell_is_cut_off_on_a_terminal_of_usual_width(width: int) -> None:
    table = shown(told_table(ROWS), width)
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= width
    for word in (
        "completed",
        "cancelled",
        "event_loop",
        "chat.py:88",
        "save_log",
        "consumer",
        "upstream cut",
    ):
        assert word in table


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (80, set()),
        (75, {"p95"}),
        (60, {"p95", "tok/s", "tokens"}),
        (45, {"p95", "tok/s", "tokens", "max", "stalls"}),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_and_no_number_is_cut(width: int, left_out: set[str]) -> None:
    table = shown(told_table(ROWS), width)
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= width
    heads = set(" ".join(table.splitlines()[:3]).replace("─", "").split()) - {"gap"}
    assert heads == {"client", "outcome", "TTFT", "tokens", "tok/s", "p95", "max", "stalls"} - left_out
    assert table.count("400 ms") >= 3


def test_while_it_runs_the_table_has_what_the_clients_saw() -> None:
    waiting, reading, through = (Seen(part) for part in PLAN.parts[:3])
    reading.asked_s, reading.arrivals_s, reading.bytes = 10.0, [10.25, 10.5], 2400
    through.asked_s, through.arrivals_s, through.ended = 10.0, [10.1], "left"
    rows = [line.split() for line in shown(seen_table([waiting, reading, through]), 80).splitlines()[4:7]]
    assert rows == [
        ["1", "healthy", "waiting", "-", "0", "0"],
        ["2", "slow", "reader", "reading", "250", "ms", "2", "2"],
        ["3", "leaves", "early", "left", "100", "ms", "0", "1"],
    ]

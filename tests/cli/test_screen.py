"""What a run shows while it runs."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from firsttoken.cli._clients import Seen
from firsttoken.cli._screen import Lines, LiveTable, Silence

from .scenes import PLAN


def test_without_a_terminal_each_client_has_a_line_once_it_is_through() -> None:
    console = Console(file=StringIO(), width=100)
    first, second = (Seen(part) for part in PLAN.parts[:2])
    with Lines(console) as screen:
        screen.show([first, second])
        first.ended, first.ended_s, first.bytes = "left", screen._began_s + 1.5, 2400
        screen.show([first, second])
        screen.show([first, second])
    assert console.file.getvalue() == "  1.50 s  client 1 (healthy): left, 2 kB\n"  # type: ignore[attr-defined]


def test_on_a_terminal_the_table_is_drawn_and_taken_away() -> None:
    console = Console(file=StringIO(), width=100, height=30, force_terminal=True)
    with LiveTable(console, PLAN) as screen:
        screen.show([Seen(part) for part in PLAN.parts])
    output = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "as the clients see it" in output
    assert "5 blocks loop" in output
    assert output.rstrip("\x1b[?25h\r\n").endswith("\x1b[2K")


def test_silence_says_nothing() -> None:
    with Silence() as screen:
        screen.show([Seen(PLAN.part(1))])

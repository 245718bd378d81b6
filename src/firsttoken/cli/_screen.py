"""Where a run is shown while it runs: a live table, plain lines where nobody looks, or nothing (rich)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from firsttoken.cli._chart import chart, seen_lines
from firsttoken.cli._clients import Seen
from firsttoken.cli._plan import Plan
from firsttoken.cli._sparkline import ramp_for
from firsttoken.cli._table import seen_table


class Screen(Protocol):
    """Shows a run while it is entered."""

    def __enter__(self) -> Screen: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, all_seen: Sequence[Seen]) -> None:
        """Show what the clients saw so far."""


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, all_seen: Sequence[Seen]) -> None:
        """Show nothing."""


class Lines:
    """Prints a line when a client is through: for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[int] = set()

    def __enter__(self) -> Lines:
        self._began_s = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, all_seen: Sequence[Seen]) -> None:
        """Print a line for each client that is through since the last call."""
        for seen in all_seen:
            if seen.ended_s is not None and seen.part.number not in self._told:
                self._told.add(seen.part.number)
                self._console.print(
                    f"{seen.ended_s - self._began_s:6.2f} s  client {seen.part.number} ({seen.part.role}): "
                    f"{seen.ended}, {seen.bytes / 1000:.0f} kB",
                    highlight=False,
                )


class LiveTable:
    """Draws the table anew while the clients read, and takes it away when they are through."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console = console
        self._plan = plan
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._ramp = ramp_for(console.encoding)

    def __enter__(self) -> LiveTable:
        self._began_s = time.monotonic()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, all_seen: Sequence[Seen]) -> None:
        """Draw what the clients saw so far."""
        now_s = time.monotonic()
        passed_s = now_s - self._began_s
        expected_s = max(self._plan.stream_s + 0.5, passed_s)
        progress = Table.grid(padding=(0, 1))
        progress.add_row(
            Text("as the clients see it", style="dim"),
            ProgressBar(total=expected_s, completed=passed_s, width=30),
            Text(f"{passed_s:.1f} s of about {self._plan.seconds:.0f} s", style="dim"),
        )
        self._live.update(
            Group(
                seen_table(all_seen),
                chart(seen_lines(all_seen, now_s), expected_s, self._console.width, self._ramp),
                Text(),
                progress,
            ),
            refresh=True,
        )

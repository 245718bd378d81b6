"""Tables of streams: while the demo runs as its clients see it, else as the spans tell it. Uses rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from firsttoken._tell.told import Told
from firsttoken.cli._chart import CAUSES
from firsttoken.cli._clients import Seen
from firsttoken.cli._rows import Row, number, printable, seconds, stall_lines

_OUTCOMES: Final = {
    "completed": "green",
    "failed": "red",
    "truncated": "red",
    "cancelled": "yellow",
    "abandoned": "yellow",
}
_LEFT: Final = frozenset({"client", "stream", "outcome", "now", "stalls"})
_TOLD: Final = ("outcome", "TTFT", "tokens", "tok/s", "p95\ngap", "max\ngap", "stalls")
#: What a narrow terminal does without, in this order.
_SPARE: Final = ("p95\ngap", "tok/s", "tokens", "max\ngap", "stalls", "TTFT")
_STALLS_WIDTH: Final = 12


class ToldTable:
    """A table of what spans tell. Where not all columns have room some are left out: no number is cut.

    rows: a cell for each of `names`.
    """

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[RenderableType]]) -> None:
        self._names = names
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = list(self._names)
        for spare in _SPARE:
            narrowest = self._of(names)
            for column in narrowest.columns:
                column.max_width = column.min_width
            unbounded = options.update(max_width=10_000)
            if Measurement.get(console, unbounded, narrowest).maximum <= options.max_width:
                break
            names.remove(spare)
        yield self._of(names)

    def _of(self, names: Sequence[str]) -> Table:
        table = _table(*names)
        for row in self._rows:
            table.add_row(*(cell for name, cell in zip(self._names, row, strict=True) if name in names))
        return table


def told_table(rows: Iterable[Row]) -> ToldTable:
    """Return a table of what the spans tell, a row per stream."""
    return table_of("client", [(f"{row.part.number:>2} {row.part.role}", row.told) for row in rows])


def table_of(title: str, streams: Iterable[tuple[str, Told | None]]) -> ToldTable:
    """Return a table of streams under their names; `title` is what the names are of."""
    rows = [(Text(printable(name)), *_told_cells(told)) for name, told in streams]
    return ToldTable((title, *_TOLD), rows)


def seen_table(all_seen: Iterable[Seen]) -> Table:
    """Return a table of what the clients saw so far, a row per stream."""
    table = _table("client", "now", "first\nbyte", "kB", "reads")
    for seen in all_seen:
        first_s = seen.arrivals_s[0] - seen.asked_s if seen.asked_s and seen.arrivals_s else None
        table.add_row(
            f"{seen.part.number:>2} {seen.part.role}",
            Text(seen.state, style="dim" if seen.ended is not None else ""),
            seconds(first_s),
            number(seen.bytes / 1000),
            str(len(seen.arrivals_s)),
        )
    return table


def _told_cells(told: Told | None) -> list[RenderableType]:
    if told is None:
        return [Text("no span", style="bold red"), *[""] * 6]
    stalls = Text("\n").join(
        Text(printable(line), style=CAUSES.get(line.split(" ")[1], "")) for line in stall_lines(told.stalls)
    )
    return [
        Text(printable(told.outcome), style=_OUTCOMES.get(told.outcome, "")),
        seconds(told.time_to_first_token_s),
        number(told.output_tokens),
        number(told.tokens_per_second, 1),
        seconds(told.gap_p95_s),
        seconds(told.gap_max_s),
        stalls if told.stalls else Text("none", style="dim"),
    ]


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in names:
        table.add_column(
            name,
            justify="left" if name in _LEFT else "right",
            vertical="top",
            no_wrap=name != "stalls",
            min_width=_STALLS_WIDTH if name == "stalls" else None,
        )
    return table

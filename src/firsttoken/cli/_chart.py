"""The gap chart: a line per stream, on one time axis, coloured by who caused a stall. Uses rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from firsttoken._clock import NS_PER_S
from firsttoken._tell.gap_columns import column_of, columns
from firsttoken._tell.told import Told
from firsttoken.cli._clients import Seen
from firsttoken.cli._rows import Row, seconds
from firsttoken.cli._sparkline import FLOOR_S, height

CAUSES: Final = {"event_loop": "bold red", "consumer": "yellow", "provider": "magenta"}
_PLAIN: Final = "green"
_WAITING: Final = "·"
_LABEL_WIDTH: Final = 17
_MAX_WIDTH: Final = 100


@dataclass(frozen=True)
class Line:
    """What one line of the chart is drawn from. Times in s on the axis of the run.

    asked_s, until_s: when the request was made, and when the stream ended or is looked at: until the first
        arrival, dots are drawn in between.
    ended_s: None while it runs.
    stalls: (begin, end, cause).
    """

    label: str
    asked_s: float
    until_s: float
    times_s: Sequence[float]
    ended_s: float | None
    stalls: Sequence[tuple[float, float, str]] = ()


def told_lines(rows: Iterable[Row]) -> list[Line]:
    """Return the lines as the spans tell them."""
    told = [(row, row.told) for row in rows if row.told is not None]
    begin_ns = min((each.started_ns for _, each in told), default=0)
    return [_told_line(row, each, (each.started_ns - begin_ns) / NS_PER_S) for row, each in told]


def seen_lines(all_seen: Sequence[Seen], now_s: float) -> list[Line]:
    """Return the lines as the clients see them so far; `now_s` on the monotonic clock."""
    asked = [seen.asked_s for seen in all_seen if seen.asked_s is not None]
    begin_s = min(asked, default=now_s)
    return [
        Line(
            label=f"{seen.part.number:>2} {seen.part.role}",
            asked_s=(seen.asked_s or now_s) - begin_s,
            until_s=(seen.ended_s or now_s) - begin_s,
            # The first read is an empty role chunk: what follows it is still waiting, not a gap.
            times_s=[time_s - begin_s for time_s in seen.arrivals_s[1:]],
            ended_s=None,
        )
        for seen in all_seen
    ]


def chart(
    lines: Sequence[Line], span_s: float, width: int, ramp: str, *, has_colour: bool = True
) -> RenderableType:
    """Return the chart.

    span_s: length of the axis (s).
    width: of the terminal, in characters.
    ramp: characters for gaps, low to high.
    has_colour: whether colours are seen; without them causes cannot be told apart, so none is explained.
    """
    width = max(10, min(_MAX_WIDTH, width - _LABEL_WIDTH - 1))
    drawn = [(line, columns(line.times_s, line.ended_s, span_s, width)) for line in lines]
    top_s = max((gap for _, gaps in drawn for gap in gaps if gap is not None), default=FLOOR_S)
    scale = f"{ramp[0]} {seconds(FLOOR_S)} to {ramp[-1]} {seconds(max(top_s, FLOOR_S))}"
    legend = Text(f" gaps in {span_s:.1f} s: {scale}", style="dim")
    explained = has_colour and any(line.stalls for line in lines)
    for cause, style in CAUSES.items() if explained else ():
        legend.append(f"  {ramp[-1]} {cause}", style=style)
    return Group(legend, *(_drawn(line, gaps, span_s, top_s, ramp) for line, gaps in drawn))


def _drawn(line: Line, gaps: Sequence[float | None], span_s: float, top_s: float, ramp: str) -> Text:
    asked = column_of(line.asked_s, span_s, len(gaps))
    until = column_of(line.until_s, span_s, len(gaps))
    begun = next((index for index, gap in enumerate(gaps) if gap is not None), until)
    waiting = " " if ramp.isascii() else _WAITING
    cells = [
        (waiting if asked <= index < begun else " ", "dim")
        if gap is None
        else (ramp[height(gap, top_s, len(ramp))], _style(line, index, span_s, len(gaps)))
        for index, gap in enumerate(gaps)
    ]
    text = Text(f"{line.label:{_LABEL_WIDTH}.{_LABEL_WIDTH}} ", no_wrap=True, overflow="crop")
    for style, run in groupby(cells, key=itemgetter(1)):
        text.append("".join(cell for cell, _ in run), style=style)
    return text


def _style(line: Line, column: int, span_s: float, width: int) -> str:
    for begin_s, end_s, cause in line.stalls:
        if column_of(begin_s, span_s, width) <= column <= column_of(end_s, span_s, width):
            return CAUSES.get(cause, _PLAIN)
    return _PLAIN


def _told_line(row: Row, told: Told, at_s: float) -> Line:
    return Line(
        label=f"{row.part.number:>2} {row.part.role}",
        asked_s=at_s,
        until_s=at_s + told.duration_s,
        times_s=[at_s + time_s for time_s in told.content_arrivals_s],
        ended_s=at_s + told.duration_s,
        stalls=[
            (at_s + stall.at_s, at_s + stall.at_s + stall.duration_s, stall.cause) for stall in told.stalls
        ],
    )

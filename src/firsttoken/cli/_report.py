"""What a demo run ends with: the table, the gaps, the story, where the traces are, and what was lost."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

import firsttoken
from firsttoken._clock import NS_PER_S
from firsttoken._tell.gap_columns import columns
from firsttoken._tell.told import Told
from firsttoken.cli._chart import chart, told_lines
from firsttoken.cli._plan import Plan
from firsttoken.cli._rows import Row
from firsttoken.cli._sparkline import ramp_for, sparkline
from firsttoken.cli._story import story
from firsttoken.cli._table import told_table
from firsttoken.cli._traces import STALL_THRESHOLD_S, Traces
from firsttoken.export._endpoint import without_credentials

_SPARKLINE_WIDTH = 60


def print_head(console: Console, plan: Plan, where: str) -> None:
    """Say what is about to run."""
    upstream = {
        "script": f"a scripted model (seed {plan.seed})",
        "replay": f"a recorded body ({plan.file})",
        "relay": f"{_shown_url(plan)} ({plan.model})",
    }[plan.kind]
    clients = "1 client" if plan.streams == 1 else f"{plan.streams} clients"
    for line in (
        f"firsttoken {firsttoken.__version__}: {clients} read a FastAPI chat app, which asks {upstream}.",
        f"A gap of {STALL_THRESHOLD_S:g} s is a stall here; elsewhere the default is 1 s.",
        where,
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)


def print_result(console: Console, rows: Sequence[Row], traces: Traces, lost: Sequence[str]) -> None:
    """Say how it went."""
    console.print(told_table(rows))
    lines = told_lines(rows)
    has_colour = console.color_system is not None and not console.no_color
    ramp = ramp_for(console.encoding)
    console.print(chart(lines, _span_s(rows), console.width, ramp, has_colour=has_colour))
    console.print()
    for line in story(rows):
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    # A viewer has a list of them all; its one link is told last.
    urls = {} if traces.page else _urls(rows, traces)
    if urls:
        console.print()
    for number, url in urls.items():
        console.print(f"stream {number}: {url}", highlight=False, markup=False, soft_wrap=True)
    console.print()
    if lost:
        for line in lost:
            console.print(Text(f"LOST  {line}", style="bold red"))
    else:
        chunks = sum(row.told.chunk_count for row in rows if row.told is not None)
        console.print(
            f"Nothing was lost: {len(rows)} streams, {len(rows)} spans, {chunks} chunks.", highlight=False
        )


def print_link(console: Console, rows: Sequence[Row], traces: Traces, *, waits: bool) -> None:
    """Say where the streams can be seen: a link to the one that is most worth a look.

    waits: whether the viewer is ours, and ends with us.
    """
    worst = worst_of(rows)
    if traces.page is None or worst is None:
        return
    console.print()
    console.print(
        f"See them: {traces.page}/{worst.trace_id}/{worst.span_id}"
        + (" (Ctrl-C ends it)" if waits else ""),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def worst_of(rows: Sequence[Row]) -> Told | None:
    """Return the stream that stood still the longest; None if no stream has a span."""
    told = [row.told for row in rows if row.told is not None]
    return max(
        told, key=lambda each: (each.gap_max_s or 0.0, each.time_to_first_token_s or 0.0), default=None
    )


def document(plan: Plan, rows: Sequence[Row], traces: Traces, lost: Sequence[str]) -> str:
    """Return the run as one JSON document."""
    urls = _urls(rows, traces)
    told: dict[str, Any] = {
        "firsttoken": firsttoken.__version__,
        "python": platform.python_version(),
        "upstream": {"kind": plan.kind, "file": plan.file, "url": _shown_url(plan), "model": plan.model},
        "seconds": plan.seconds,
        "seed": plan.seed,
        "stall_threshold_s": STALL_THRESHOLD_S,
        "collector": traces.collectors[0].name if traces.collectors else None,
        "streams": [_stream(row, urls.get(row.part.number)) for row in rows],
        "story": story(rows),
        "lost": list(lost),
    }
    return json.dumps(told, indent=2)


def _stream(row: Row, url: str | None) -> dict[str, Any]:
    seen = row.seen
    return {
        "stream": row.part.number,
        "client": row.part.role.value,
        "trace_url": url,
        "told": None if row.told is None else {**asdict(row.told), "sparkline": _sparkline(row)},
        "client_saw": {
            "ended": seen.ended,
            "bytes": seen.bytes,
            "reads": len(seen.arrivals_s),
            "duration_s": None
            if seen.asked_s is None or seen.ended_s is None
            else seen.ended_s - seen.asked_s,
        },
        "upstream_saw": dict(row.report) or None,
    }


def _sparkline(row: Row) -> str:
    """Return the gaps of one stream, on an axis of its own."""
    (line,) = told_lines([row])
    gaps = columns(line.times_s, line.ended_s, _span_s([row]), _SPARKLINE_WIDTH)
    return sparkline(gaps, max((gap for gap in gaps if gap is not None), default=0.0))


def _span_s(rows: Sequence[Row]) -> float:
    """Return the time from the first request to the last end (s)."""
    told = [row.told for row in rows if row.told is not None]
    begin_ns = min((each.started_ns for each in told), default=0)
    return max(((each.started_ns - begin_ns) / NS_PER_S + each.duration_s for each in told), default=0.0)


def _shown_url(plan: Plan) -> str | None:
    return None if plan.url is None else without_credentials(plan.url)


def _urls(rows: Sequence[Row], traces: Traces) -> dict[int, str]:
    return {
        row.part.number: url
        for row in rows
        if row.told is not None and (url := traces.trace_url(row.told.trace_id)) is not None
    }

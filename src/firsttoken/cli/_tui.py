"""`firsttoken view --tui`: the newest streams in the terminal, for people over ssh. Uses rich.

The main thread draws, the server runs in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from firsttoken._tell.told import Told, ToldStall
from firsttoken.cli._rows import printable, seconds
from firsttoken.cli._sparkline import ramp_for, sparkline
from firsttoken.cli._table import table_of
from firsttoken.errors import FirstTokenError
from firsttoken.viewer._app import Viewer
from firsttoken.viewer._lists import Filter, streams
from firsttoken.viewer._live import LiveStream
from firsttoken.viewer._server import Server

_FRAME_S: Final = 0.25
_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 10.0
#: Lines around the table: its head, the address, the newest stream's gaps.
_AROUND: Final = 7
_NAME_WIDTH: Final = 26
_LIVE_MAX: Final = 8


def run_tui(viewer: Viewer, server: Server, where: str) -> None:
    """Serve, and draw until Ctrl-C.

    where: a line that says where senders and browsers go.
    """
    thread = threading.Thread(target=server.run, name="firsttoken-viewer", daemon=True)
    thread.start()
    console = Console()
    try:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not server.is_serving:
            if not thread.is_alive() or time.monotonic() > deadline_s:
                raise FirstTokenError("the viewer did not start")
            time.sleep(_FRAME_S / 10)
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
            while thread.is_alive():
                began_s = time.monotonic()
                screen.update(frame(viewer, where, console), refresh=True)
                # A fifth of the time at most goes into drawing.
                time.sleep(max(_FRAME_S, 4 * (time.monotonic() - began_s)))
    finally:
        server.stop()
        thread.join(_STOP_TIMEOUT_S)


def frame(viewer: Viewer, where: str, console: Console) -> RenderableType:
    """Return what the terminal shows now."""
    room = max(3, console.height - _AROUND)
    running = viewer.live.document.streams[:_LIVE_MAX]
    with viewer.store.reading() as connection:
        found, total = streams(
            connection, Filter(), sort="start", order="desc", limit=max(1, room - len(running)), offset=0
        )
    parts: list[RenderableType] = [
        Text(where, style="dim", no_wrap=True),
        Text(f"{total} streams are kept; Ctrl-C ends it.", style="dim"),
        *(Text(running_line(stream), style="cyan", no_wrap=True) for stream in running),
    ]
    if not found:
        return Group(*parts, Text("\nNo streams yet."))
    parts.append(newest_gaps(found[0], ramp_for(console.encoding)))
    # Last, so that what does not fit are the oldest streams.
    parts.append(table_of("stream", [(_name(row), told_of_row(row)) for row in found]))
    return Group(*parts)


def told_of_row(row: Mapping[str, Any]) -> Told:
    """Return a stream of the store as the tables take it."""
    stalls = msgspec.json.decode(row["stalls"], type=tuple[ToldStall, ...])
    known = {
        "started_ns": int(row["start_ms"] * 1e6),
        "chunk_event_count": 0,
        "finish_reasons": (),
        "arrivals_s": (),
    }
    said = {name: value for name, value in row.items() if name in Told.__dataclass_fields__}
    return Told(**{**said, **known, "stalls": stalls})


def newest_gaps(row: Mapping[str, Any], ramp: str) -> Text:
    """Return the gaps of a stream as a line."""
    gaps: Sequence[float | None] = msgspec.json.decode(row["sparkline"], type=list[float | None])
    longest_s = max((gap for gap in gaps if gap is not None), default=0.0)
    line = sparkline(gaps, longest_s, ramp)
    return Text(f" newest: {line} up to {seconds(longest_s)}", style="green", no_wrap=True)


def running_line(stream: LiveStream) -> str:
    """Return a stream that still runs as a line."""
    last = "" if stream.last_chunk_age_s is None else f", the last {seconds(stream.last_chunk_age_s)} ago"
    return printable(
        f" running: {stream.name} for {seconds(stream.age_s)}: {stream.content_chunks} chunks{last}"
    )


def _name(row: Mapping[str, Any]) -> str:
    name = str(row["model"] or row["name"])
    cut = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
    try:
        at = datetime.fromtimestamp(row["start_ms"] / 1000).strftime("%H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        at = "--:--:--"
    return f"{at} {cut}"

"""One stream from all sides: who read it, what client saw, upstream reported, span tells. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from firsttoken._tell.told import Told, ToldStall
from firsttoken.cli._clients import Seen
from firsttoken.cli._plan import Part


@dataclass(frozen=True)
class Row:
    """One stream of a run that is over.

    told: None if its span did not come.
    report: of the upstream, empty if it has none.
    """

    part: Part
    seen: Seen
    told: Told | None
    report: Mapping[str, Any]


def place(file: str | None, line: int | None, function: str | None) -> str | None:
    """Return a place in the code as `file:line function`; None if it is not known."""
    if file is None:
        return None
    return f"{PurePath(file).name}:{line} {function or ''}".rstrip()


def stall_lines(stalls: Iterable[ToldStall]) -> list[str]:
    """Return a line per cause and culprit, with how often, in the order in which they first came."""
    counts = Counter((stall.cause, place(stall.file, stall.line, stall.function)) for stall in stalls)
    return [f"{count} {cause}" + (f" {where}" if where else "") for (cause, where), count in counts.items()]


def seconds(value_s: float | None) -> str:
    """Return a duration as a person reads it: `412 ms`, `1.24 s`; a dash where there is none."""
    if value_s is None:
        return "-"
    return f"{value_s * 1000:.0f} ms" if value_s < 0.9995 else f"{value_s:.2f} s"


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with so many digits behind the point; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: spans may come from anybody."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)

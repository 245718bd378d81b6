"""How every benchmark here reports: a table for people, `--json` for machines. Ratios, from one run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One measured line.

    ratio: against what the benchmark compares with.
    bound: what the ratio must reach; None if it is only shown.
    at_least: the bound is a minimum, not a maximum.
    """

    what: str
    measured: str
    ratio: float | None = None
    bound: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the ratio reaches its bound."""
        if self.bound is None or self.ratio is None:
            return True
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


def parser(description: str) -> argparse.ArgumentParser:
    """Return an argument parser that knows `--json`."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return made


def report(title: str, rows: Sequence[Row], *, as_json: bool) -> int:
    """Print the rows; return 0 if every bound is met, else 1."""
    if as_json:
        print(json.dumps({"title": title, "rows": [{**asdict(row), "met": row.met} for row in rows]}))
    else:
        width = max(len(row.what) for row in rows)
        print(f"{title}  (CPython {sys.version.split()[0]})")
        for row in rows:
            ratio = "" if row.ratio is None else f"{row.ratio:9.2f} x"
            sign = ">=" if row.at_least else "<="
            bound = "" if row.bound is None else f"  {sign} {row.bound:g} {'ok' if row.met else 'MISSED'}"
            print(f"  {row.what:<{width}}  {row.measured:>16}  {ratio:>11}{bound}")
    return 0 if all(row.met for row in rows) else 1

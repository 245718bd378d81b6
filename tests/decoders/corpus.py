"""The streams with known facts: the recorded ones outside the project, and our own in `tests/corpus`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

_TESTS = Path(__file__).resolve().parents[1]
OWN = _TESTS / "corpus"
RECORDED = Path(os.environ.get("FIRSTTOKEN_CORPUS", _TESTS.parents[1] / "shared" / "streams"))


class Case(NamedTuple):
    """One stream: what the manifest says of it, and where its body is."""

    facts: dict[str, Any]
    path: Path

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def expected(self) -> dict[str, Any]:
        return self.facts["expected"]

    @property
    def content_type(self) -> str | None:
        return self.facts.get("content_type") or self.facts.get("content_type_usual")


def cases() -> list[Case]:
    """Return every case there is here; none of the recorded where their folder is absent."""
    found = []
    for folder in (RECORDED, OWN):
        manifest = folder / "manifest.json"
        if manifest.exists():
            found += [
                Case(facts, folder / facts["file"]) for facts in json.loads(manifest.read_text("utf-8"))
            ]
    return found


def case(file: str) -> Case:
    """Return the case of one file."""
    return next(found for found in cases() if found.facts["file"] == file)

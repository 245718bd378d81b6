"""The table of formats in README, made from the code and the corpora.

    python -m tests.decoders.formats_table            # print it
    python -m tests.decoders.formats_table --write    # put it into README.md

A cell says ✓ where every stream of that format that has the fact yields it exactly, ✗ where one does not,
and — where none has it. Made from `tests/corpus` alone, so that it is the same everywhere.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from firsttoken.decoders import ChunkDecoder, formats
from tests.decoders.corpus import OWN, Case, cases
from tests.decoders.facts import facts_of, read_all
from tests.decoders.test_corpus import agree

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- formats:begin -->\n", "<!-- formats:end -->"
FRAMINGS = {"sse": "SSE", "ndjson": "NDJSON", "jsonarray": "JSON array", "eventstream": "event stream"}
FACTS = {
    "first token": "first_output",
    "usage": "usage",
    "finish": "finish_reasons",
    "done event": "done_marker",
    "errors": "errors",
}


def table() -> str:
    """Return the table in Markdown."""
    streams: dict[str, list[tuple[Case, dict[str, Any]]]] = defaultdict(list)
    for case in cases():
        if case.path.parent == OWN:
            decoder = ChunkDecoder(content_type=case.content_type, host=case.facts["host"])
            facts = facts_of(read_all(decoder, [case.body]), decoder.wire_events)
            # An error alone is read without knowing whose it is; its provider's other streams tell.
            streams[decoder.format_name or "openai.chat"].append((case, facts))
    lines = [
        f"| format | framing | {' | '.join(FACTS)} | streams |",
        f"| --- | --- |{' :-: |' * len(FACTS)} --: |",
    ]
    for name in formats():
        read = streams[name]
        if read:
            framing = ", ".join(sorted({FRAMINGS.get(case.facts["framing"], "text") for case, _ in read}))
            cells = " | ".join(_mark(read, fact) for fact in FACTS.values())
            lines.append(f"| `{name}` | {framing} | {cells} | {len(read)} |")
    return "\n".join(lines) + "\n"


def unread() -> list[str]:
    """Return the formats that no stream of the corpus is in."""
    return [name for name in formats() if f"`{name}`" not in table()]


def _mark(read: Iterable[tuple[Case, dict[str, Any]]], fact: str) -> str:
    told = [(facts[fact], case.expected.get(fact)) for case, facts in read]
    wanted = [(ours, theirs) for ours, theirs in told if ours or theirs]
    if not wanted:
        return "—"
    return "✓" if all(agree(fact, ours, theirs) for ours, theirs in wanted) else "✗"


def main() -> None:
    """Print the table, or write it into README."""
    if "--write" not in sys.argv:
        print(table(), end="")
        return
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(before + BEGIN + table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()

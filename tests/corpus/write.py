"""Writes every file of this folder anew: `python -m tests.corpus.write` from the root of the project."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corpus import (
    bedrock_streams,
    error_streams,
    framing_streams,
    more_provider_streams,
    openai_more_streams,
    openai_streams,
    provider_streams,
)

FOLDER = Path(__file__).parent
STREAMS = [
    *openai_streams.STREAMS,
    *openai_more_streams.STREAMS,
    *provider_streams.STREAMS,
    *more_provider_streams.STREAMS,
    *bedrock_streams.STREAMS,
    *error_streams.STREAMS,
    *framing_streams.STREAMS,
]


def manifest() -> str:
    """Return the manifest of all streams."""
    return json.dumps([stream.entry for stream in STREAMS], indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write bodies and manifest."""
    for stream in STREAMS:
        (FOLDER / stream.file).write_bytes(stream.body)
    (FOLDER / "manifest.json").write_text(manifest(), "utf-8", newline="\n")


if __name__ == "__main__":
    main()

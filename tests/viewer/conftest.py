"""One viewer with an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Running, viewing


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Running]:
    with viewing(tmp_path / "traces.db") as running:
        yield running

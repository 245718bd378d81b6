"""A collector, for every test that needs a good one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.export.collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made

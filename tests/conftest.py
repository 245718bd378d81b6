"""What every test has: spans in memory, all event loops, and no tolerance for context leaks."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firsttoken

BACKENDS: list[Any] = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
if sys.platform != "win32":
    BACKENDS.insert(1, pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"))


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


class Traces:
    """A tracer provider, and what was told to it."""

    def __init__(self, **limits: int) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(**limits))
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def spans(self) -> tuple[Any, ...]:
        assert firsttoken.flush(10)
        return self.exporter.get_finished_spans()

    def span(self) -> Any:
        (span,) = self.spans()
        return span


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture(autouse=True)
def _no_context_leak(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    assert "Failed to detach context" not in caplog.text

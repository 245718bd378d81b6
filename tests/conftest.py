"""What every test has: spans in memory, all event loops, and no tolerance for context leaks."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firsttoken
from firsttoken._record import iterate as _iterate
from firsttoken._record import record as _record
from firsttoken._settings import Settings
from firsttoken._wrap import live as _live
from firsttoken._wrap.runtime import Runtime
from tests.replay_server import ReplayServer
from tests.scenes import ManualClock

BACKENDS: list[Any] = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
if sys.platform != "win32":
    BACKENDS.insert(1, pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"))


def pytest_collection_finish() -> None:
    """Take what was imported out of garbage collections: the exits need many, and so they are cheap."""
    import hypothesis  # noqa: F401  # it looks for referrers, and finds none among what is frozen

    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _cheap_collections(request: pytest.FixtureRequest) -> None:
    """Take what other modules left out of the collections of those that collect at every exit."""
    if "exits" in request.node.name or "pipeline" in str(request.node.path):
        gc.collect()
        gc.freeze()


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


@pytest.fixture
def runtime(traces: Traces) -> Iterator[Runtime]:
    """Return a runtime that tells to `traces` and watches no event loop."""
    runtime = Runtime(Settings(block_threshold_s=None), tracer_provider=traces.provider)
    yield runtime
    runtime.shutdown(10)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Put a manual clock where the loop writes down times, and where they are compared with now."""
    clock = ManualClock()
    for module in (_record, _iterate, _live):
        monkeypatch.setattr(module, "monotonic_ns", clock)
    return clock


@pytest.fixture(autouse=True)
def _no_context_leak(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    # `caplog.text` has only what was logged since the test returned.
    logged = [record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when)]
    assert not any("Failed to detach context" in line for line in [*logged, caplog.text])


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """Have a server that answers what it is told to."""
    with ReplayServer().serving() as replay:
        yield replay

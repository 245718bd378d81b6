"""A Jaeger for all tests here, collectors as they ask for them; nothing to fetch, nothing left running."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

import firsttoken
from firsttoken._wrap import default
from firsttoken.export import StreamSpanProcessor
from tests.e2e.build import COMMAND, missing
from tests.e2e.jaeger import Jaeger
from tests.e2e.servers import COLLECTOR_CONFIG, DEPLOY, RUNNING, Server, running

COLLECTOR_PORTS = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "METRICS_PORT", "TELEMETRY_PORT")
JAEGER_PORTS = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "QUERY_PORT", "QUERY_GRPC_PORT", "TELEMETRY_PORT")


@pytest.fixture(scope="session")
def built() -> None:
    """Have the binaries, or skip; in a CI that has `go` to build them with, fail."""
    absent = " and ".join(missing())
    if not absent:
        return
    if shutil.which("go") is None:
        pytest.skip(f"no {absent} here, and no `go` to build with: `{COMMAND}` needs it")
    if os.environ.get("CI"):
        pytest.fail(f"no {absent} here: .ci/run builds with `{COMMAND}` before it tests")
    pytest.skip(f"no {absent} here: build once, some ten minutes, with `{COMMAND}`")


@pytest.fixture(scope="session")
def jaeger(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    directory = tmp_path_factory.mktemp("jaeger")
    with running("jaeger", DEPLOY / "jaeger.yaml", directory=directory, ports=JAEGER_PORTS) as server:
        api = Jaeger(server)
        yield api
        api.close()


StartCollector = Callable[..., Server]


@pytest.fixture
def collector(jaeger: Jaeger, tmp_path: Path) -> Iterator[StartCollector]:
    """Start collectors with collector-config.yaml as it is shipped; only its environment is ours."""
    with ExitStack() as started:

        def start(*configs: Path, name: str = "otelcol", **environ: Any) -> Server:
            settings = {
                "JAEGER_ENDPOINT": jaeger.server.address("OTLP_GRPC_PORT"),
                "FIRSTTOKEN_SPOOL_DIR": tmp_path / "spool",
                "STATE_DIR": tmp_path / "state",
                "DECISION_WAIT": "2s",
                "DECISION_WAIT_AFTER_ROOT": "1s",
                "METRICS_INTERVAL": "500ms",
            }
            return started.enter_context(
                running(
                    "otelcol",
                    *(configs or (COLLECTOR_CONFIG,)),
                    directory=tmp_path,
                    ports=COLLECTOR_PORTS,
                    name=name,
                    **{**settings, **environ},
                )
            )

        yield start


@pytest.fixture(autouse=True)
def _runtime_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have `firsttoken.flush` wait for the providers of this test, and not for those of earlier ones."""
    monkeypatch.setattr(default, "_default", None)
    yield
    firsttoken.shutdown(10)


class Told:
    """A tracer provider of the test's own, whose spans go where its processor sends them."""

    def __init__(self, processor: StreamSpanProcessor, service: str) -> None:
        self.processor = processor
        self.provider = TracerProvider(
            resource=Resource({"service.name": service}),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_events=100_000),
        )
        self.provider.add_span_processor(processor)


StartTelling = Callable[..., Told]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Iterator[StartTelling]:
    """Make providers that tell as `service`, which is named after the test unless it says otherwise."""
    processors: list[StreamSpanProcessor] = []

    def start(endpoint: str | None = None, *, service: str = "", **arguments: Any) -> Told:
        # Sent when a test says so: what comes when is part of what is tested.
        processor = StreamSpanProcessor(endpoint, **{"schedule_delay_s": 60, **arguments})
        processors.append(processor)
        return Told(processor, service or request.node.name)

    yield start
    for processor in processors:
        processor.shutdown(10)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Show the end of every server's log below a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        for server in RUNNING:
            report.sections.append((f"the end of the log of {server.name}", server.log()[-4000:]))

"""The configurations that are shipped: today's names, valid to the real binaries, on loopback only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.build import MANIFEST, binaries
from tests.e2e.conftest import COLLECTOR_PORTS, StartCollector
from tests.e2e.jaeger import Jaeger
from tests.e2e.servers import COLLECTOR_CONFIG, DEPLOY, PATIENCE_S, listening

SHIPPED = [
    ("otelcol", COLLECTOR_CONFIG),
    ("otelcol", DEPLOY / "agent.yaml"),
    ("otelcol", COLLECTOR_CONFIG, DEPLOY / "gateway.yaml"),
    ("otelcol", COLLECTOR_CONFIG, DEPLOY / "viewer.yaml"),
    ("jaeger", DEPLOY / "jaeger.yaml"),
    ("jaeger", DEPLOY / "jaeger-distributed.yaml"),
]
KINDS = ("receivers", "processors", "connectors", "exporters", "extensions")
SECRETS = ("TLS_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "OPENSEARCH_PASSWORD")


def validate(binary: str, *configs: Path) -> subprocess.CompletedProcess[str]:
    arguments = [argument for config in configs for argument in ("--config", str(config))]
    return subprocess.run(
        [str(binaries() / binary), "validate", *arguments],
        env=dict.fromkeys(SECRETS, "given"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "shipped", SHIPPED, ids=lambda shipped: " + ".join(path.name for path in shipped[1:])
)
def test_every_configuration_is_valid_to_the_binary_it_is_for(shipped: tuple[Any, ...]) -> None:
    done = validate(*shipped)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("built")
def test_a_wrong_configuration_is_not(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(COLLECTOR_CONFIG.read_text(encoding="utf-8").replace("num_traces", "traces"))
    done = validate("otelcol", wrong)
    assert done.returncode != 0
    assert "traces" in done.stderr


def test_no_name_is_one_that_was_given_up(collector: StartCollector) -> None:
    assert "deprecated" not in collector().log().lower()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_collector_listens_on_its_four_ports_of_loopback_and_on_no_other(
    collector: StartCollector,
) -> None:
    running = collector()
    ports = {running.ports[name] for name in COLLECTOR_PORTS}
    assert listening(running.process.pid) == {("127.0.0.1", port) for port in ports}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_jaeger_listens_on_its_five_ports_of_loopback_and_on_no_other(jaeger: Jaeger) -> None:
    ports = jaeger.server.ports.values()
    assert listening(jaeger.server.process.pid) == {("127.0.0.1", port) for port in ports}


@pytest.mark.usefixtures("built")
def test_the_collector_is_built_of_what_the_configurations_name_and_of_no_more() -> None:
    named: set[tuple[str, str]] = set()
    for path in {path for binary, *paths in SHIPPED if binary == "otelcol" for path in paths}:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        named |= {(kind, name.split("/")[0]) for kind in KINDS for name in config.get(kind, ())}
    printed = subprocess.run(
        [str(binaries() / "otelcol"), "components"], capture_output=True, check=True, timeout=PATIENCE_S
    ).stdout
    built = yaml.safe_load(printed)
    assert {(kind, part["name"]) for kind in KINDS for part in built[kind]} == named


def test_compose_publishes_on_loopback_only_and_pins_its_images() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), volume
    # What is set there is read here.
    config = COLLECTOR_CONFIG.read_text(encoding="utf-8")
    for variable in compose["services"]["collector"]["environment"]:
        assert f"${{env:{variable}" in config, variable


def test_compose_runs_the_versions_that_are_tested() -> None:
    from tests.e2e.build import JAEGER_VERSION

    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert f"jaegertracing/jaeger:{JAEGER_VERSION.removeprefix('v')}" in compose
    version = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["dist"]["version"]
    assert f"opentelemetry-collector-contrib:{version}" in compose

"""`firsttoken doctor`: what is installed, what is set, and what answers. Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from typing import Final

import firsttoken
from firsttoken.decoders import formats

#: Variables whose values may be shown; of all others only that they are set.
_SHOWN: Final = frozenset(
    {
        "FIRSTTOKEN_HOSTS",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_PYTHON_TRACER_PROVIDER",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    }
)
_URLS: Final = frozenset({"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"})


def main(options: argparse.Namespace) -> int:
    """Print the report; return 0."""
    for title, lines in report(os.environ).items():
        print(title)
        for line in lines:
            print(f"  {line}")
    return 0


def report(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the report: lines under their headings."""
    return {
        "versions": [
            f"firsttoken {firsttoken.__version__}",
            f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}",
            *_versions(_required("firsttoken")),
        ],
        "extras": [
            f"{extra}: {', '.join(_versions(packages))}"
            for extra, packages in _extras("firsttoken").items()
        ],
        "tracing": [_tracer_provider(environ), *_variables(environ)],
        "collector": [_collector(environ)],
        "event loop": [_event_loop()],
        "formats": [", ".join(formats())],
    }


def _required(package: str) -> list[str]:
    """Return the names of what a package cannot do without."""
    return [name for name, extra in _requirements(package) if extra is None]


def _extras(package: str) -> dict[str, list[str]]:
    """Return for each optional extra what it brings; extras that are only sums of others are left out."""
    extras: dict[str, list[str]] = {}
    for name, extra in _requirements(package):
        if extra not in (None, "dev") and name != package:
            extras.setdefault(str(extra), []).append(name)
    return extras


def _requirements(package: str) -> Iterator[tuple[str, str | None]]:
    for requirement in metadata.requires(package) or ():
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", requirement)
        if name is not None:
            yield name[0], extra[1] if extra else None


def _versions(packages: list[str]) -> list[str]:
    return [f"{package} {_version(package)}" for package in packages]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "is not installed"


def _tracer_provider(environ: Mapping[str, str]) -> str:
    """Say which tracer provider a program that is started from here would have."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "tracer provider: switched off by OTEL_SDK_DISABLED"
    named = environ.get("OTEL_PYTHON_TRACER_PROVIDER")
    if named:
        return f"tracer provider: {named}, by OTEL_PYTHON_TRACER_PROVIDER"
    return "tracer provider: none is set globally; firsttoken.configure() sets one"


def _variables(environ: Mapping[str, str]) -> list[str]:
    from firsttoken.export._endpoint import without_credentials

    found = sorted(name for name in environ if name.startswith(("OTEL_", "FIRSTTOKEN_")))
    lines = []
    for name in found:
        if name in _URLS:
            lines.append(f"{name}={without_credentials(environ[name])}")
        else:
            lines.append(f"{name}={environ[name]}" if name in _SHOWN else f"{name} is set")
    return lines or ["no OTEL_ or FIRSTTOKEN_ variable is set"]


def _collector(environ: Mapping[str, str]) -> str:
    """Say whether something answers where traces would be sent."""
    from firsttoken.cli._collector import (
        DEFAULT_ENDPOINT,
        endpoint_named,
        probe,
        protocol_named,
        traces_url,
        variable_that_is_no_url,
    )

    endpoint = endpoint_named(environ) or DEFAULT_ENDPOINT
    if protocol_named(environ) == "grpc":
        return f"{endpoint}: spoken to by gRPC, which is not tried here"
    if wrong := variable_that_is_no_url(environ):
        return f"{wrong} is {endpoint!r}, no URL like {DEFAULT_ENDPOINT}: nothing can be sent there"
    status = probe(traces_url(environ))
    if status is None:
        return f"{endpoint}: nothing answers"
    return f"{endpoint}: answers ({status})" + ("" if status < 300 else ", but takes no traces like this")


def _event_loop() -> str:
    loop = asyncio.new_event_loop()
    loop.close()
    uvloop = f", uvloop {_version('uvloop')}" if find_spec("uvloop") else ", without uvloop"
    return f"asyncio ({type(loop).__qualname__}){uvloop}"

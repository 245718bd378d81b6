"""Is there an OTLP collector? What the environment names, or whatever answers at the usual place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from firsttoken.export._endpoint import is_url, without_credentials

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
_PROBE_TIMEOUT_S: Final = 1.0
_TRACES_PATH: Final = "{}/v1/traces"
_ENDPOINT_ENV: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT_ENV: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOL_ENVS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@dataclass(frozen=True)
class Collector:
    """A place to send traces to.

    name: for people; without user name and password.
    traces_url: for the exporter; None if it shall read the environment itself.
    page: where the page of a trace is, up to its id, if this is a viewer of ours.
    """

    name: str
    traces_url: str | None
    page: str | None = None


def find_collector(environ: Mapping[str, str]) -> tuple[Collector | None, str]:
    """Return the collector to send to, if there is one, and a sentence that says so or why not."""
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return None, "OTEL_TRACES_EXPORTER is none: the traces are kept in memory only."
    named = endpoint_named(environ)
    if named is not None:
        page = page_url(named) if _is_here(named) and is_viewer(named) else None
        return Collector(named, None, page), f"The traces go to {named} as well."
    answer = probe(traces_path(DEFAULT_ENDPOINT))
    if answer is not None and answer < 300:
        page = page_url(DEFAULT_ENDPOINT) if is_viewer(DEFAULT_ENDPOINT) else None
        found = Collector(DEFAULT_ENDPOINT, traces_path(DEFAULT_ENDPOINT), page)
        what = "collector" if page is None else "viewer"
        return found, f"A {what} answers at {DEFAULT_ENDPOINT}: the traces go there as well."
    why = "nothing answers" if answer is None else f"what answers ({answer}) is no OTLP collector"
    return None, (
        f"The traces are kept in memory only: OTEL_EXPORTER_OTLP_ENDPOINT is not set, and {why} at "
        f"{DEFAULT_ENDPOINT}."
    )


def traces_path(endpoint: str) -> str:
    """Return the URL that traces are posted to, given the endpoint of all signals."""
    return _TRACES_PATH.format(endpoint.rstrip("/"))


def page_url(endpoint: str) -> str:
    """Return where a viewer shows a trace, up to its id."""
    return f"{endpoint.rstrip('/')}/#/trace"


def is_viewer(endpoint: str) -> bool:
    """Return whether a viewer of ours answers there."""
    try:
        answer = httpx.get(f"{endpoint.rstrip('/')}/api/health", timeout=_PROBE_TIMEOUT_S, trust_env=False)
        return answer.status_code == 200 and "firsttoken" in answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError):
        return False


def endpoint_named(environ: Mapping[str, str]) -> str | None:
    """Return the endpoint in the environment, without user name and password; None if there is none."""
    url = environ.get(_TRACES_ENDPOINT_ENV) or environ.get(_ENDPOINT_ENV)
    return without_credentials(url) if url else None


def traces_url(environ: Mapping[str, str]) -> str:
    """Return the URL that traces are posted to, as the environment has it.

    Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
    """
    base = environ.get(_ENDPOINT_ENV) or DEFAULT_ENDPOINT
    return environ.get(_TRACES_ENDPOINT_ENV) or traces_path(base)


def variable_that_is_no_url(environ: Mapping[str, str]) -> str | None:
    """Return the variable that says where traces go, if what it says is no URL."""
    named = next((name for name in (_TRACES_ENDPOINT_ENV, _ENDPOINT_ENV) if environ.get(name)), None)
    return None if named is None or is_url(environ[named]) else named


def protocol_named(environ: Mapping[str, str]) -> str:
    """Return the OTLP protocol in the environment; `http/protobuf` if there is none."""
    return next((environ[name] for name in _PROTOCOL_ENVS if environ.get(name)), "http/protobuf")


def probe(traces_url: str) -> int | None:
    """Return the status that answers an OTLP request without spans; None if nothing answers.

    traces_url: where the request goes.
    """
    try:
        # An empty body is a valid ExportTraceServiceRequest.
        answer = httpx.post(
            traces_url,
            content=b"",
            headers={"content-type": "application/x-protobuf"},
            timeout=_PROBE_TIMEOUT_S,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return answer.status_code


def _is_here(url: str) -> bool:
    """Return whether a URL is this machine's: no other is asked what it is."""
    return is_url(url) and urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")

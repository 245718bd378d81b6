"""How to export, from arguments and environment variables. Floor 3 (tell); read once, at construction.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. Where the Python SDK
reads a variable its own way (OTEL_EXPORTER_OTLP_TIMEOUT is in seconds there), the SDK's way is followed.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from opentelemetry.util.re import parse_env_headers

from firsttoken.errors import ConfigError
from firsttoken.export._endpoint import basic_authorization, is_url, without_credentials

logger = logging.getLogger("firsttoken")

DEFAULT_ENDPOINT: Final = "http://localhost:4318"
TRACES_PATH: Final = "v1/traces"
_TRACES_URL: Final = f"{DEFAULT_ENDPOINT}/{TRACES_PATH}"
SPOOL_DIR_VARIABLE: Final = "FIRSTTOKEN_SPOOL_DIR"
_COMPRESSIONS: Final = ("none", "gzip")
# Source: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"(?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where spans go and how.

    endpoint: without user name and password; what they ask for is among the headers.
    timeout_s: one attempt, from connecting to the last byte of the answer.
    certificate: file of CA certificates the server is checked against; None for the usual ones.
    schedule_delay_s: how long an ended span may wait for others before a request is sent.
    max_queue_spans, max_batch_spans: bounds beside the ones in bytes; None for none.
    protocol: as the environment has it; whoever gives an endpoint means ours, `http/protobuf`.
    """

    endpoint: str
    headers: Mapping[str, str]
    timeout_s: float
    compression: str
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    schedule_delay_s: float
    max_queue_spans: int | None
    max_batch_spans: int | None
    spool_dir: Path | None
    protocol: str


def read_settings(
    *,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    compression: str | None = None,
    certificate: str | None = None,
    client_key: str | None = None,
    client_certificate: str | None = None,
    schedule_delay_s: float | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Join arguments and environment; an argument wins.

    endpoint: full URL, path included, as the stock exporter takes it. A user name and password in it are
        sent as an Authorization header, unless the headers have one.

    Raises:
        ConfigError: if an argument, or the endpoint of the environment, is not a usable value.
    """
    for name, seconds in (("timeout_s", timeout_s), ("schedule_delay_s", schedule_delay_s)):
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise ConfigError(f"{name} must be a positive number of seconds, not {seconds!r}")
    if compression is not None and compression not in _COMPRESSIONS:
        raise ConfigError(f"compression must be one of {_COMPRESSIONS}, not {compression!r}")
    export_timeout_s = _number(environ, "OTEL_BSP_EXPORT_TIMEOUT", 30_000) / 1e3
    url = _checked_url(endpoint, "endpoint", _TRACES_URL) if endpoint else _endpoint(environ)
    spool = spool_dir if spool_dir is not None else environ.get(SPOOL_DIR_VARIABLE) or None
    return Settings(
        endpoint=without_credentials(url),
        headers=_headers(url, environ, headers),
        timeout_s=min(timeout_s or _number(environ, *_otlp("TIMEOUT"), 10), export_timeout_s),
        compression=compression or _compression(environ),
        certificate=certificate or _first(environ, *_otlp("CERTIFICATE")),
        client_key=client_key or _first(environ, *_otlp("CLIENT_KEY")),
        client_certificate=client_certificate or _first(environ, *_otlp("CLIENT_CERTIFICATE")),
        schedule_delay_s=schedule_delay_s or _number(environ, "OTEL_BSP_SCHEDULE_DELAY", 5_000) / 1e3,
        max_queue_spans=_count(environ, "OTEL_BSP_MAX_QUEUE_SIZE"),
        max_batch_spans=_count(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
        spool_dir=Path(spool) if spool is not None else None,
        protocol="http/protobuf" if endpoint else _first(environ, *_otlp("PROTOCOL")) or "http/protobuf",
    )


def _otlp(name: str) -> tuple[str, str]:
    return f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)


def _endpoint(environ: Mapping[str, str]) -> str:
    traces, base = _otlp("ENDPOINT")
    own = _first(environ, traces)
    if own is not None:
        return _checked_url(own, traces, _TRACES_URL)
    url = _checked_url(_first(environ, base) or DEFAULT_ENDPOINT, base, DEFAULT_ENDPOINT)
    return f"{url.rstrip('/')}/{TRACES_PATH}"


def _checked_url(url: str, name: str, example: str) -> str:
    if not is_url(url):
        raise ConfigError(f"{name} must be a URL like {example}, not {without_credentials(url)!r}")
    return url


def _headers(url: str, environ: Mapping[str, str], extra: Mapping[str, str] | None) -> dict[str, str]:
    headers = {}
    named = parse_env_headers(_first(environ, *_otlp("HEADERS")) or "", liberal=True)
    for name, value in named.items():
        if _is_header(name, value):
            headers[name] = value
        else:
            logger.warning("firsttoken: OTEL_EXPORTER_OTLP_HEADERS: HTTP allows no such %r; left out", name)
    for name, value in (extra or {}).items():
        if not _is_header(name, value):
            raise ConfigError(
                "headers must be names and values HTTP allows (latin-1, no control characters, no blanks "
                f"at the ends); the value of {name!r} or its name is not"
            )
        headers[name.lower()] = value
    authorization = basic_authorization(url)
    if authorization is not None:
        headers.setdefault("authorization", authorization)
    return headers


def _is_header(name: str, value: str) -> bool:
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def _compression(environ: Mapping[str, str]) -> str:
    value = (_first(environ, *_otlp("COMPRESSION")) or "none").lower()
    if value in _COMPRESSIONS:
        return value
    logger.warning("firsttoken: OTEL_EXPORTER_OTLP_COMPRESSION is %r; sending uncompressed", value)
    return "none"


def _number(environ: Mapping[str, str], *names_and_default: str | int) -> float:
    """Return the first variable that is set, as a positive number; the default, told, if it is none."""
    *names, default = names_and_default
    value = _first(environ, *cast("list[str]", names))
    if value is None:
        return float(default)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if number > 0 and math.isfinite(number):
        return number
    logger.warning("firsttoken: %s is %r, not a positive number; using %s", names[-1], value, default)
    return float(default)


def _count(environ: Mapping[str, str], name: str) -> int | None:
    return max(1, int(_number(environ, name, 1))) if _first(environ, name) else None

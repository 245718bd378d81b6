"""Arguments and environment variables, with the meanings of the specification and the Python SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from firsttoken.errors import ConfigError
from firsttoken.export._settings import Settings, read_settings


def read(environ: dict[str, str] | None = None, **arguments: object) -> Settings:
    return read_settings(environ=environ or {}, **arguments)


def test_defaults_are_the_specification_s() -> None:
    settings = read()
    assert settings.endpoint == "http://localhost:4318/v1/traces"
    assert (settings.timeout_s, settings.compression, settings.schedule_delay_s) == (10, "none", 5)
    assert settings.spool_dir is settings.max_queue_spans is settings.max_batch_spans is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1/"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1/prefix"},
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2/custom",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1",
        },
        {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20abc, x-key = v==,junk"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "3"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "3", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "4.5"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
    ],
)
def test_reads_what_the_stock_exporter_reads(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stock = OTLPSpanExporter()
    ours = read(environ)
    client = stock._client
    assert ours.endpoint == stock._endpoint
    assert ours.timeout_s == client._timeout
    assert ours.compression == stock._compression.value
    theirs = {
        name: value for name, value in client._headers.items() if name not in ("content-type", "user-agent")
    }
    theirs = {name: value for name, value in theirs.items() if name.lower() != "content-encoding"}
    assert ours.headers == theirs


def test_the_batch_variables_are_honoured() -> None:
    settings = read(
        {
            "OTEL_BSP_SCHEDULE_DELAY": "250",
            "OTEL_BSP_EXPORT_TIMEOUT": "2000",
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        }
    )
    assert settings.schedule_delay_s == 0.25
    assert settings.timeout_s == 2
    assert (settings.max_queue_spans, settings.max_batch_spans) == (100, 10)


def test_an_argument_wins_over_the_environment() -> None:
    settings = read(
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://env:1/x", "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2"},
        endpoint="http://arg:2/y",
        headers={"A": "3"},
        timeout_s=1.5,
        spool_dir="somewhere",
    )
    assert settings.endpoint == "http://arg:2/y"
    assert settings.headers == {"a": "3", "b": "2"}
    assert settings.timeout_s == 1.5
    assert settings.spool_dir == Path("somewhere")


def test_certificates_and_spool_come_from_the_environment() -> None:
    settings = read(
        {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "key.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "cert.pem",
            "FIRSTTOKEN_SPOOL_DIR": "/somewhere",
        }
    )
    assert (settings.certificate, settings.client_key, settings.client_certificate) == (
        "ca.pem",
        "key.pem",
        "cert.pem",
    )
    assert settings.spool_dir == Path("/somewhere")


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY"])
@pytest.mark.parametrize("value", ["soon", "-1", "0", "nan", "inf"])
def test_a_number_that_is_none_is_told_and_the_default_used(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = read({name: value})
    assert (settings.timeout_s, settings.schedule_delay_s) == (10, 5)
    assert value in caplog.text


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
    ],
)
@pytest.mark.parametrize(
    "url", ["localhost:4318", "ftp://a/b", "http://", "http://a:99999/x", "http://[::1", "collector"]
)
def test_a_variable_that_is_no_url_is_refused_with_its_name_and_value(
    name: str, example: str, url: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read({name: url})
    assert str(caught.value) == f"{name} must be a URL like {example}, not {url!r}"


def test_credentials_are_not_in_the_message_that_refuses_an_endpoint() -> None:
    with pytest.raises(ConfigError, match=r"^endpoint .* not 'https://collector:99999/v1/traces'$"):
        read(endpoint="https://user:s3cret@collector:99999/v1/traces")


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": "http://me:secret@a:1/v1/traces"},
        {"environ": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@a:1"}},
    ],
)
def test_credentials_in_the_endpoint_are_sent_as_a_header(given: dict[str, Any]) -> None:
    settings = read(**given)
    assert settings.endpoint == "http://a:1/v1/traces"
    assert settings.headers == {"authorization": "Basic bWU6c2VjcmV0"}


@pytest.mark.parametrize(
    "given",
    [
        {"headers": {"Authorization": "Bearer b"}},
        {"environ": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20b"}},
    ],
)
def test_an_authorization_that_is_given_wins_over_the_endpoint_s(given: dict[str, Any]) -> None:
    assert read(endpoint="http://me:secret@a/", **given).headers == {"authorization": "Bearer b"}


def test_a_header_of_the_environment_that_cannot_be_sent_is_told_without_its_value_and_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = read({"OTEL_EXPORTER_OTLP_HEADERS": "a=s3cret%01,b=%C3%A9"})
    assert settings.headers == {"b": "é"}
    assert "'a'" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"schedule_delay_s": -1},
        {"compression": "zstd"},
        {"headers": {"bad name": "v"}},
        {"headers": {"": "v"}},
        {"headers": {"name": "two\nlines"}},
        {"headers": {"name": " v"}},
        {"headers": {"name": "v\t"}},
        {"headers": {"name": "v\x7fw"}},
        {"headers": {"name": "\u20ac"}},
    ],
)
def test_an_argument_outside_its_values_is_refused_by_name(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        read(**arguments)

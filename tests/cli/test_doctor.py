"""What is installed, what is set, and what answers."""

from __future__ import annotations

import pytest

import firsttoken
from firsttoken.__main__ import main
from firsttoken.cli import _collector
from firsttoken.cli.doctor import report


@pytest.fixture(autouse=True)
def _nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_collector, "probe", lambda url: None)


def test_versions_extras_loop_and_formats_are_told() -> None:
    told = report({})
    assert f"firsttoken {firsttoken.__version__}" in told["versions"]
    assert any(line.startswith("opentelemetry-sdk ") for line in told["versions"])
    assert any(line.startswith("cli: fastapi 0.") and " uvicorn 0." in line for line in told["extras"])
    assert not any(line.startswith("dev") for line in told["extras"])
    assert told["event loop"][0].startswith("asyncio (")
    assert "openai.chat" in told["formats"][0]
    assert told["collector"] == ["http://127.0.0.1:4318: nothing answers"]


def test_variables_are_shown_but_never_what_could_be_a_secret() -> None:
    lines = report(
        {
            "OTEL_SERVICE_NAME": "chat",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@c:4318",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
            "OTEL_RESOURCE_ATTRIBUTES": "key=secret",
            "FIRSTTOKEN_HOSTS": "models.example",
            "FIRSTTOKEN_TRACE_URL": "http://me:secret@jaeger/trace",
            "HOME": "/secret",
        }
    )["tracing"]
    assert lines[1:] == [
        "FIRSTTOKEN_HOSTS=models.example",
        "FIRSTTOKEN_TRACE_URL is set",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318",
        "OTEL_EXPORTER_OTLP_HEADERS is set",
        "OTEL_RESOURCE_ATTRIBUTES is set",
        "OTEL_SERVICE_NAME=chat",
    ]


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "none is set globally"),
        ({"OTEL_SDK_DISABLED": "true"}, "switched off by OTEL_SDK_DISABLED"),
        ({"OTEL_PYTHON_TRACER_PROVIDER": "mine"}, "mine, by OTEL_PYTHON_TRACER_PROVIDER"),
    ],
)
def test_the_tracer_provider_a_program_would_have(environ: dict[str, str], says: str) -> None:
    assert says in report(environ)["tracing"][0]


def test_what_answers_is_told_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_collector, "probe", lambda url: 404 if url == "http://c:1/v1/traces" else None)
    assert report({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"})["collector"] == [
        "http://c:1: answers (404), but takes no traces like this"
    ]


def test_what_is_no_url_is_told_so_with_its_variable() -> None:
    assert report({"OTEL_EXPORTER_OTLP_ENDPOINT": "foo"})["collector"] == [
        "OTEL_EXPORTER_OTLP_ENDPOINT is 'foo', no URL like http://127.0.0.1:4318: nothing can be sent there"
    ]
    # The variable of traces goes first.
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://me:secret@c:99999",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1",
    }
    (line,) = report(environ)["collector"]
    assert line.startswith("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is 'http://c:99999', no URL")


def test_grpc_is_not_tried() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert report(environ)["collector"] == ["http://c:1: spoken to by gRPC, which is not tried here"]


def test_the_command_prints_it_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["versions", f"  firsttoken {firsttoken.__version__}"]
    assert [line for line in printed if not line.startswith(" ")] == [
        "versions", "extras", "tracing", "collector", "event loop", "formats",
    ]  # fmt: skip

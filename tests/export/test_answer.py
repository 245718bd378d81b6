"""What an HTTP answer means."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from firsttoken.export._answer import read_answer


def partial(rejected: int) -> bytes:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    return answer.SerializeToString()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "accepted"), (202, "accepted"), (429, "retry"), (502, "retry"), (503, "retry"), (504, "retry")]
    + [(code, "refused") for code in (301, 302, 307, 400, 401, 403, 404, 405, 415, 500, 501, 505)]
    + [(413, "too_large")],
)
def test_status_decides(status: int, verdict: str) -> None:
    answer = read_answer(status, {}, b"", 0)
    assert (answer.verdict, answer.cause) == (verdict, str(status))


def test_a_bad_request_for_being_too_large_is_too_large() -> None:
    assert read_answer(400, {}, b"http: request body too large", 0).verdict == "too_large"


@pytest.mark.parametrize(
    ("body", "content_type", "rejected", "unread"),
    [
        (b"", "", 0, False),
        (partial(3), "application/x-protobuf", 3, False),
        (b'{"partialSuccess": {"rejectedSpans": "4"}}', "application/json", 4, False),
        (b"{}", "application/json", 0, False),
        (b"<html>", "text/html", 0, True),
        (b"[]", "application/json", 0, True),
        (None, "", 0, True),
    ],
)
def test_partial_success_is_read(
    body: bytes | None, content_type: str, rejected: int, unread: bool
) -> None:
    answer = read_answer(200, {"content-type": content_type}, body, 0)
    assert (answer.verdict, answer.rejected, answer.unread) == ("accepted", rejected, unread)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}
    assert read_answer(503, headers, b"", now_unix_s=10).retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "ours"), [(400, False), (401, True), (404, True), (302, True), (200, False)]
)
def test_a_wrong_address_or_key_is_about_us_not_about_the_spans(status: int, ours: bool) -> None:
    assert read_answer(status, {}, b"", 0).is_about_us is ours

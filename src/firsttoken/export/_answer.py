"""What a collector's answer means. Floor 3 (tell), pure but for the export thread's first protobuf import.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple

from firsttoken.export._lazily import PROTOBUF, load

RETRYABLE_STATUS: Final = frozenset({429, 502, 503, 504})
#: Only the beginning of a body is read.
BODY_MAX_BYTES: Final = 65_536
_TOO_LARGE_MARKS: Final = (b"too large", b"larger than max")

Verdict = Literal["accepted", "retry", "refused", "too_large", "unreadable"]


class Answer(NamedTuple):
    """How one request went.

    verdict: `accepted`; `retry`, may go away by itself; `refused`, never will; `too_large`, send less;
        `unreadable`, what the spool gave us is no OTLP JSON.
    cause: what statistics call it: a status code, or a word such as `timeout`.
    rejected: how many spans of an accepted request the collector turned down.
    retry_after_s: how long the server asked us to wait, if it did.
    unread: whether the body of an accepted request could not be read, so `rejected` is unknown.
    """

    verdict: Verdict
    cause: str
    rejected: int = 0
    retry_after_s: float | None = None
    unread: bool = False

    @property
    def is_about_us(self) -> bool:
        """Whether not the spans were refused but where or how we sent them: a path, a key, a redirect."""
        return self.verdict == "refused" and self.cause != "400"


def read_answer(status: int, headers: Mapping[str, str], body: bytes | None, now_unix_s: float) -> Answer:
    """Judge an HTTP response.

    headers: with lower-case or case-insensitive keys.
    body: None if it never arrived whole.
    """
    cause = str(status)
    if 200 <= status < 300:
        rejected = None if body is None else _rejected_spans(body, headers.get("content-type", ""))
        return Answer("accepted", cause, rejected=rejected or 0, unread=rejected is None)
    if status in RETRYABLE_STATUS:
        return Answer("retry", cause, retry_after_s=_retry_after_s(headers.get("retry-after"), now_unix_s))
    if status == 413 or (status == 400 and body and any(mark in body.lower() for mark in _TOO_LARGE_MARKS)):
        return Answer("too_large", cause)
    return Answer("refused", cause)


def _rejected_spans(body: bytes, content_type: str) -> int | None:
    """Return how many spans the collector turned down; None if the body says nothing we understand."""
    if not body:
        return 0
    try:
        if "json" in content_type:
            partial = json.loads(body).get("partialSuccess") or {}
            return max(0, int(partial.get("rejectedSpans", 0)))
        # Imported only where a collector has something to say: most answers are empty.
        load(PROTOBUF)
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        response = ExportTraceServiceResponse.FromString(body)
        return max(0, int(response.partial_success.rejected_spans))
    except Exception:
        # Protobuf's own DecodeError is no ValueError; whatever it is, the body is not OTLP.
        return None


def _retry_after_s(value: str | None, now_unix_s: float) -> float | None:
    """Read `Retry-After`, in seconds or as an HTTP date."""
    if value is None:
        return None
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(when.timestamp() - now_unix_s, 0.0)

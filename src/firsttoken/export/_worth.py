"""Which spans are dropped last. Floor 3 (tell), pure; runs on the export thread."""

from __future__ import annotations

from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from firsttoken.export._encode_spans import attributes_of
from firsttoken.semconv import OUTCOME, TIME_TO_FIRST_TOKEN

_COMPLETED: Final = "completed"


def is_valued(span: ReadableSpan, slow_first_token_s: float) -> bool:
    """Whether somebody will look for this span: an error, a slow first token, an early end."""
    if span.status.status_code is StatusCode.ERROR:
        return True
    attributes = attributes_of(span)
    if attributes.get(OUTCOME, _COMPLETED) != _COMPLETED:
        return True
    waited_s = attributes.get(TIME_TO_FIRST_TOKEN)
    return isinstance(waited_s, float | int) and waited_s > slow_first_token_s

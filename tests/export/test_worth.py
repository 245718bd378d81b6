"""What somebody will look for is dropped last."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Status, StatusCode

from firsttoken.export._worth import is_valued
from firsttoken.semconv import OUTCOME, TIME_TO_FIRST_TOKEN
from tests.export.spans import span


@pytest.mark.parametrize(
    ("attributes", "valued"),
    [
        (None, False),
        ({"http.route": "/"}, False),
        ({OUTCOME: "completed", TIME_TO_FIRST_TOKEN: 0.4}, False),
        ({TIME_TO_FIRST_TOKEN: 2.0}, False),
        ({TIME_TO_FIRST_TOKEN: 2.1}, True),
        ({TIME_TO_FIRST_TOKEN: "long"}, False),
        *(({OUTCOME: outcome}, True) for outcome in ("failed", "cancelled", "abandoned", "truncated")),
    ],
)
def test_slow_first_tokens_and_early_ends_are_worth_more(attributes: Any, valued: bool) -> None:
    assert is_valued(span(attributes=attributes), 2.0) is valued
    # As the SDK keeps them.
    kept = BoundedAttributes(attributes=attributes)
    assert is_valued(span(attributes=kept), 2.0) is valued


def test_errors_are_worth_more() -> None:
    assert is_valued(span(status=Status(StatusCode.ERROR)), 2.0)
    assert not is_valued(span(status=Status(StatusCode.OK)), 2.0)

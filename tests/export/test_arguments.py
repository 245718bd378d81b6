"""What the processor takes as arguments."""

from __future__ import annotations

import inspect

import pytest

from firsttoken.errors import ConfigError
from firsttoken.export import CAP_BYTES, StreamSpanProcessor


def test_the_queue_is_bounded_at_64_mib_and_a_request_is_full_at_one_unless_told_otherwise() -> None:
    defaults = inspect.signature(StreamSpanProcessor).parameters
    assert defaults["queue_bytes"].default == 64 << 20
    assert defaults["request_bytes"].default == 1 << 20
    assert CAP_BYTES < 4 << 20


@pytest.mark.parametrize(
    "arguments",
    [{"queue_bytes": 0}, {"spool_bytes": -1}, {"request_bytes": CAP_BYTES + 1}, {"request_bytes": 0}],
)
def test_arguments_outside_their_values_are_refused_by_name(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        StreamSpanProcessor("http://127.0.0.1:9/v1/traces", **arguments)

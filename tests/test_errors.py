"""Errors: one root, and a configuration error is a ValueError to those who do not know us."""

from __future__ import annotations

import pytest

from firsttoken import errors


@pytest.mark.parametrize("error", [errors.ConfigError, errors.DecodeError])
def test_every_error_has_the_same_root(error: type[Exception]) -> None:
    assert issubclass(error, errors.FirstTokenError)


def test_a_config_error_is_a_value_error() -> None:
    assert issubclass(errors.ConfigError, ValueError)
    assert not issubclass(errors.DecodeError, ValueError)

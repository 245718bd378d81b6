"""A missing package is told with the extra that brings it."""

from __future__ import annotations

import pytest

from firsttoken.cli._extras import CLI_PACKAGES, require
from firsttoken.errors import ConfigError


def test_what_is_installed_is_enough() -> None:
    require("cli", CLI_PACKAGES)


def test_one_line_says_what_is_missing_and_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match=r"^nosuch, neither missing: pip install 'firsttoken\[cli\]'$"):
        require("cli", ("nosuch", "rich", "neither"))

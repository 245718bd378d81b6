"""Which optional packages a command needs, and what to say where they are missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from firsttoken.errors import ConfigError

#: What the extra `cli` brings.
CLI_PACKAGES: Final = ("fastapi", "uvicorn", "rich")
#: What the extra `viewer` brings.
VIEWER_PACKAGES: Final = ("fastapi", "uvicorn", "rich")


def require(extra: str, packages: tuple[str, ...]) -> None:
    """Check that packages can be imported.

    Raises: ConfigError: if one cannot; the message says which extra to install.
    """
    absent = [package for package in packages if find_spec(package) is None]
    if absent:
        raise ConfigError(f"{', '.join(absent)} missing: pip install 'firsttoken[{extra}]'")

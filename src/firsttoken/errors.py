"""Every error this library raises on purpose. Floor 0 (words); any thread.

Telemetry never raises into a user's stream: these come only from a wrong argument, at the call that
passed it, or from tools a person starts by hand (the command line, a decoder used on its own).
"""

from __future__ import annotations


class FirstTokenError(Exception):
    """Root of all errors raised by firsttoken."""


class ConfigError(FirstTokenError, ValueError):
    """An argument or environment variable has a value outside the ones its message names."""


class DecodeError(FirstTokenError):
    """Bytes do not follow the framing or format they were said to be in."""

"""A collector's URL: whether it is one, and the credentials in it. Floor 3 (tell), pure; any thread."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

_BEFORE_AT: Final = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)


def is_url(text: str) -> bool:
    """Whether a request can be sent to `text`."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and text.isprintable() and " " not in text


def basic_authorization(url: str) -> str | None:
    """Return the Authorization header that the user name and password in a URL ask for, if any are there.

    Source: https://www.rfc-editor.org/rfc/rfc7617#section-2
    """
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def without_credentials(url: str) -> str:
    """Return a URL without user name and password, to be shown or sent to.

    Of what is no URL all goes that stands before an `@`: nobody can say what of it is a password.
    """
    if is_url(url):
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return _BEFORE_AT.sub(r"\1", url)

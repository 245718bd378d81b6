"""The page's files, and a trace as one file that needs nobody. Floor 5 (viewer); reader threads.

In the one file all modules are one script, which their form allows (tests/viewer/page/test_sources.py). Its
Content-Security-Policy names that script and one style by their hashes: a browser takes nothing else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib import resources
from typing import Any, Final

import msgspec

from firsttoken.errors import FirstTokenError

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.IGNORECASE)
_STYLESHEETS: Final = re.compile(r"(?m)^<link rel=\"stylesheet\"[^>]*>\n")
_SCRIPT: Final = '<script type="module" src="/page/main.js"></script>'
_CHARSET: Final = '<meta charset="utf-8">'
_IMPORT: Final = re.compile(r"(?m)^import\s[^;]*;\n")
_EXPORT: Final = re.compile(r"(?m)^export ")


class Parts(msgspec.Struct):
    """What the page is made of, besides `index.html`: names of its files, in order."""

    styles: list[str]
    modules: list[str]


def page_file(name: str) -> bytes | None:
    """Return a file of the page; None if there is none of that name."""
    if not _FILE.fullmatch(name) or not name.endswith(tuple(MEDIA_TYPES)):
        return None
    try:
        return resources.files("firsttoken.viewer").joinpath("page").joinpath(name).read_bytes()
    except OSError:  # no such file, a directory, or a name that no file can have
        return None


def media_type(name: str) -> str:
    """Return the media type of a file of the page."""
    return next(kind for ending, kind in MEDIA_TYPES.items() if name.endswith(ending))


def trace_page(document: dict[str, Any]) -> bytes:
    """Return the page with one trace in it: script, style and data inside, nothing outside.

    document: of the trace, as `saved_document` has it.

    Raises: FirstTokenError: if the page is not installed.

    Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    parts = msgspec.json.decode(_text("modules.json"), type=Parts)
    style = "\n".join(map(_text, parts.styles))
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in parts.modules)
    # A block of data does not run, so it needs no hash.
    data = _escaped(msgspec.json.encode(document).decode())
    policy = (
        f"default-src 'none'; script-src {_hash_of(script)}; style-src {_hash_of(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    inside = (
        f"<style>{style}</style>\n"
        f'<script type="application/json" id="trace">{data}</script>\n'
        f'<script type="module">{script}</script>'
    )
    html = _STYLESHEETS.sub("", _text("index.html"))
    html = _replaced(
        html, _CHARSET, f'{_CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    )
    return _replaced(html, _SCRIPT, inside).encode()


def _replaced(html: str, part: str, new: str) -> str:
    if html.count(part) != 1:
        raise FirstTokenError(f"the viewer's page is not whole: index.html has not one {part}")
    return html.replace(part, new)


def _hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"


def _escaped(json: str) -> str:
    """Return JSON in which nothing ends a script element."""
    return json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(name: str) -> str:
    content = page_file(name)
    if content is None:
        raise FirstTokenError(f"the viewer's page is not whole: {name} is missing")
    # A browser reads every line's end as "\n", and that is what it takes the hash of.
    return content.decode().replace("\r\n", "\n")

"""Which requests are calls to a model, by host and path. Floor 2 (think): pure; the caller's thread.

The hosts of providers stand in `decoders.table`, once, with the formats they send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote

from firsttoken.decoders.table import provider_at
from firsttoken.errors import ConfigError

#: Hosts whose answer is remembered; a program that talks to more looks them up again.
MAX_REMEMBERED: Final = 1024

#: What is asked for at the end of a path -> the operation. Everything else at the same hosts (models,
#: files, embeddings, token counts, the messages of a thread) is no call to a model that writes.
_ENDPOINTS: Final[tuple[tuple[re.Pattern[str], str | None], ...]] = tuple(
    (re.compile(f"(?:{path})/?$"), operation)
    for path, operation in (
        (r"/(threads|completions)/[^/]+/messages", None),
        (r"/chat/completions", "chat"),
        (r"/completions", "text_completion"),
        (r"/responses", "chat"),
        (r"/messages", "chat"),
        (r"/complete", "text_completion"),
        (r"/v[12]/chat|/api/chat", "chat"),
        (r"/api/generate|/generate(_stream)?", "text_completion"),
        (r"/text/chat(_stream)?", "chat"),
        (r"/text/generation(_stream)?", "text_completion"),
        (r":(stream)?(g|G)enerateContent|/interactions", "generate_content"),
        (r":(stream)?(r|R)awPredict", "chat"),
        (r"/(converse|invoke)(-stream|-with-response-stream)?", "chat"),
        (r"/runs(/stream|/wait)?|/submit_tool_outputs", "chat"),
    )
)
_STREAMING_PATH: Final = re.compile(r":stream\w+$|[-_/]stream$")
_MODEL_IN_PATH: Final = re.compile(r"/model/([^/]+)|/(?:models|deployments)/([^/:]+)")

_PRIVATE_NAMES: Final = ("localhost", "*.localhost", "*.internal", "*.local")

Hosts = Mapping[str, "str | None"] | Iterable[str]


class HostTable:
    """The hosts that answer with a model: those of the providers, and one's own.

    hosts: patterns (`*` stands for anything) of `host` or `host:port`, with the provider's name or
        without; they come before the providers' own.

    Raises: TypeError: if it is a single string, or a pattern is none.
    """

    def __init__(self, hosts: Hosts = ()) -> None:
        self._own = dict(hosts) if isinstance(hosts, Mapping) else dict.fromkeys(patterns("hosts", hosts))
        patterns("hosts", self._own)
        self._known: dict[tuple[str, int | None], tuple[bool, str | None]] = {}

    def look_up(self, host: str, port: int | None) -> tuple[bool, str | None]:
        """Return whether a model answers at a host, and the provider's name if it is known.

        port: None for the scheme's own.
        """
        known = self._known.get((host, port))
        if known is None:
            known = self._find(host, port)
            if len(self._known) < MAX_REMEMBERED:
                self._known[host, port] = known
        return known

    def _find(self, host: str, port: int | None) -> tuple[bool, str | None]:
        name = host if port is None else f"{host}:{port}"
        for pattern, provider in self._own.items():
            if _matches(name, host, pattern):
                return True, provider or provider_at(name)
        provider = provider_at(name)
        return provider is not None, provider


class HostPatterns:
    """Hosts that may be told a trace id: the ones given, or, if None, loopback and private ones.

    Raises: TypeError: if it is a single string, or a pattern is none.
    """

    def __init__(self, hosts: Iterable[str] | None = None) -> None:
        self._patterns = None if hosts is None else patterns("propagate_to", hosts)

    def allow(self, host: str, port: int | None) -> bool:
        """Whether `host` is one of them; a pattern with a port asks for that port."""
        if self._patterns is None:
            return is_private(host)
        name = host if port is None else f"{host}:{port}"
        return any(_matches(name, host, pattern) for pattern in self._patterns)


def is_private(host: str) -> bool:
    """Whether a host is this machine or in a private network, by its address or reserved name.

    Source: RFC 6761 (localhost), RFC 6762 (.local), ICANN resolution 2024.07.29.06 (.internal).
    """
    try:
        return ip_address(host.strip("[]")).is_private
    except ValueError:
        return any(fnmatchcase(host.lower(), pattern) for pattern in _PRIVATE_NAMES)


def operation_of(method: str, path: str) -> str | None:
    """Return the GenAI operation that a request asks for; None if it asks for something else."""
    if method != "POST":
        return None
    for endpoint, operation in _ENDPOINTS:
        if endpoint.search(path):
            return operation
    return None


def model_in(path: str) -> str | None:
    """Return the model that a path names, as Google's, Azure's and Amazon's do."""
    found = _MODEL_IN_PATH.search(path)
    return unquote(found[1] or found[2]) if found else None


def asks_for_stream(path: str) -> bool:
    """Whether a path by itself asks for a stream, as Google's and Amazon's do."""
    return _STREAMING_PATH.search(path) is not None


def patterns(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return host patterns as a tuple in lower case.

    Raises: TypeError: if it is a single string, or a pattern is none.
    Raises: ConfigError: if a pattern is a URL.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} is a collection of host patterns, not {given!r}")
    found = tuple(given)
    for pattern in found:
        if not isinstance(pattern, str):
            raise TypeError(f"a pattern in {name} is a str, not {type(pattern).__qualname__}")
        if not pattern or "/" in pattern:
            raise ConfigError(
                f"a pattern in {name} is a host or host:port, as *.example.com; not {pattern!r}"
            )
    return tuple(pattern.lower() for pattern in found)


def _matches(name: str, host: str, pattern: str) -> bool:
    pattern = pattern.lower()
    return fnmatchcase(name.lower(), pattern) or fnmatchcase(host.lower(), pattern)

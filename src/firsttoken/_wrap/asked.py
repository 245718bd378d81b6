"""What a call to a model asks for, read where an SDK shows it. Floor 4 (wrap); the user's thread.

An SDK's call that has not begun has its arguments in its frame; one that has begun has its request in its
response. Only numbers, names and stop sequences are read, never a prompt; and only frames of SDKs, for
whoever reads the local variables of a frame makes it keep a copy of them (CPython before 3.13).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from firsttoken import semconv
from firsttoken._guard import guarded
from firsttoken._http.facts import facts_in, request_facts
from firsttoken.decoders.table import is_known_package, provider_at

#: Where coroutines and generators keep their frame.
_FRAMES: Final = ("cr_frame", "ag_frame", "gi_frame")
#: Arguments that hold further ones.
_NESTED: Final = ("options", "config", "request", "extra_body")
_CLIENTS: Final = ("_client", "_api_client", "_client_wrapper")


def asked_of(source: Any) -> dict[str, Any]:
    """Return the `gen_ai.request.*` and `server.*` attributes that an SDK's call or stream shows.

    source: whatever is to be traced; what is no SDK's shows nothing.
    """
    facts: dict[str, Any] = {}
    with guarded("look at a call"):
        request = _request_of(source)
        if request is not None:
            return request_facts(request)
        frame = _frame_of(source)
        if frame is not None:
            arguments = frame.f_locals
            nested = [arguments[name] for name in _NESTED if arguments.get(name) is not None]
            facts = facts_in(arguments, *nested)
            facts |= _server_of(caller_of(source))
    return facts


def caller_of(source: Any) -> Any:
    """Return the client of an SDK whose call `source` is, if it can be seen; else None.

    source: a coroutine or generator that has not begun, or a context manager that holds one.
    """
    frame = _frame_of(source)
    if frame is not None:
        owner = frame.f_locals.get("self")
        return getattr(owner, "_client", owner)
    if not is_known_package(type(source).__module__):
        return None
    # `messages.stream(...)`: an object with the call to come in it.
    held = getattr(source, "__dict__", None)
    for value in held.values() if type(held) is dict and len(held) < 8 else ():
        if isinstance(value, functools.partial):
            owner = getattr(value.func, "__self__", None)
        elif (frame := _frame_of(value)) is not None:
            owner = frame.f_locals.get("self")
        else:
            continue
        return getattr(owner, "_client", owner)
    return None


def _request_of(source: Any) -> Any:
    """Return the HTTP request that an open stream answers; None if it does not show one."""
    # OpenAI's helper keeps the stream it reads in `_raw_stream`.
    for stream in (source, _shown(source, "_raw_stream")):
        request = _shown(_shown(stream, "response"), "request")
        # With others than httpx and httpx2 a URL is a string.
        if hasattr(getattr(request, "url", None), "host"):
            return request
    return None


def _frame_of(source: Any) -> FrameType | None:
    """Return the frame of an SDK's coroutine or generator."""
    for name in _FRAMES:
        frame = _shown(source, name)
        if isinstance(frame, FrameType):
            module = frame.f_globals.get("__name__")
            return frame if isinstance(module, str) and is_known_package(module) else None
    return None


def _shown(source: Any, name: str) -> Any:
    try:
        return getattr(source, name, None)
    except Exception:  # attributes of other people's objects may do anything: no fault of ours
        return None


def _server_of(client: Any) -> Mapping[str, Any]:
    """Return where a client sends its requests, if it says so in one of the usual ways."""
    for holder in (client, *(getattr(client, name, None) for name in _CLIENTS)):
        for options in (holder, getattr(holder, "_http_options", None)):
            for name in ("base_url", "_base_url"):
                url = getattr(options, name, None)
                host = urlsplit(str(url)).hostname if url is not None else None
                if host:
                    return _at(host, urlsplit(str(url)))
    return {}


def _at(host: str, url: SplitResult) -> Mapping[str, Any]:
    port = url.port or {"http": 80}.get(url.scheme, 443)
    known = {semconv.SERVER_ADDRESS: host, semconv.SERVER_PORT: port}
    provider = provider_at(f"{host}:{port}")
    return known if provider is None else {**known, semconv.PROVIDER_NAME: provider}

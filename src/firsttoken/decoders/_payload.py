"""Payloads: one typed window for JSON bytes, dicts and SDK objects. Floor 2 (think); thinker thread.

A format declares, as `msgspec.Struct`s whose fields all have defaults, only what it wants to see. The
window reads that out of whatever came: fields nobody asked for are skipped without being built.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from firsttoken.decoders._attributes import Picker
from firsttoken.decoders._attributes import get as get
from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import StreamError, Undecoded

T = TypeVar("T", bound=Struct)

DONE_SENTINEL: Final = b"[DONE]"
"""The data of the event with which OpenAI and everyone who copied it end a stream."""

UNREADABLE: Final = (Undecoded("payload is not the JSON this format sends"),)
"""What a format returns for a payload its window could not read."""

_LOST: Final = object()
_MAX_INT_DIGITS: Final = 40


class Window(Generic[T]):
    """Reads the declared part of a payload, from bytes, dict or object alike."""

    __slots__ = ("_picker", "_shape", "decode")

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        self._picker = Picker(shape)
        self.decode: Callable[[bytes], T] = msgspec.json.Decoder(shape).decode
        """Reads JSON bytes that are as they should be; raises for all else, which is then for `read`."""

    def read(self, payload: Any) -> T | None:
        """Return the declared part of `payload`, or None if it is no object of any kind.

        payload: a `WireEvent`, JSON `bytes`, a `dict`, or any object with attributes.

        A field of an unexpected type takes its default; the rest of the event is not lost with it.
        Cost: one typed msgspec decode per wire event (tests/bench/bench_decoders.py).
        """
        kind = type(payload)
        try:
            if kind is WireEvent:
                return self.decode(payload.data)
            if kind is bytes:
                return self.decode(payload)
            return msgspec.convert(self._picker.pick(payload), self._shape, from_attributes=True)
        except Exception:
            return self._salvage(payload)

    def _salvage(self, payload: Any) -> T | None:
        if isinstance(payload, WireEvent):
            payload = payload.data
        try:
            if isinstance(payload, bytes):
                payload = parse_json(payload)
            if payload is None or isinstance(payload, (str, bytes, list, tuple, int, float)):
                return None
            kept: T = _keep_what_fits(self._shape, payload)
        except Exception:
            return None
        return kept


def parse_json(data: bytes) -> Any:
    """Return the JSON document in `data`, forgiving bad UTF-8 and lone surrogates (U+FFFD).

    Raises:
        ValueError: if it is not JSON.
        RecursionError: if it nests deeper than the interpreter allows.
    """
    text = data.decode("utf-8", "replace")
    if "\\u" in text:
        document = json.loads(text, parse_int=_parse_int)
        return _without_surrogates(document)
    return json.loads(text, parse_int=_parse_int)


def is_document(data: bytes) -> bool:
    """Return whether `data` is a whole JSON object or array."""
    try:
        return isinstance(parse_json(data), (dict, list))
    except (ValueError, RecursionError):
        return False


def error_of(error: Any, *, default_type: str | None = None) -> StreamError:
    """Return the error in the value of an `error` key: a string, or an object with type, code, message."""
    if isinstance(error, str):
        return StreamError(type=default_type, message=error)
    kind = get(error, "type") or get(error, "status")
    if kind is None or kind == "error":  # which says what the event is, not what went wrong
        kind = default_type
    message = get(error, "message") or get(error, "detail")
    return StreamError(type=_word(kind), code=_word(get(error, "code")), message=_word(message))


def _word(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    return str(value)


def _parse_int(digits: str) -> int | None:
    # int() of a long numeral is quadratic, and refused by the interpreter above 4300 digits.
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _get_either(value: Any, key: str, name: str) -> Any:
    found = get(value, key)
    return get(value, name) if found is None and key != name else found


def _keep_what_fits(shape: Any, value: Any) -> Any:
    """Convert `value` to `shape`, leaving out every part that does not fit."""
    origin = get_origin(shape)
    if origin is Union or origin is types.UnionType:
        for option in get_args(shape):
            kept = _keep_what_fits(option, value)
            if kept is not _LOST:
                return kept
        return _LOST
    if origin is list:
        if not isinstance(value, (list, tuple)):
            return _LOST
        (item_shape,) = get_args(shape)
        return [kept for item in value if (kept := _keep_what_fits(item_shape, item)) is not _LOST]
    if isinstance(shape, type) and issubclass(shape, Struct):
        if value is None or isinstance(value, (str, bytes, list, tuple, int, float)):
            return _LOST
        config = shape.__struct_config__
        if config.tag is not None and get(value, config.tag_field or "type") != config.tag:
            return _LOST
        fields = {
            field.name: kept
            for field in msgspec.structs.fields(shape)
            if (found := _get_either(value, field.encode_name, field.name)) is not None
            and (kept := _keep_what_fits(field.type, found)) is not _LOST
        }
        return shape(**fields)
    try:
        return msgspec.convert(value, shape, strict=isinstance(value, bool))
    except Exception:
        return _LOST

"""Attribute values as OTLP protobuf bytes. Floor 3 (tell), pure; runs on the export thread.

Protobuf's wire format is small: a tag, a length, the bytes. Writing it directly costs a third of what
building message objects costs, and gives the GIL back as often as the caller likes.

Source: https://protobuf.dev/programming-guides/encoding/ and
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, Final

_ONE_BYTE: Final = tuple(bytes((n,)) for n in range(128))
_SHORT_STRING: Final = tuple(b"\x0a" + byte for byte in _ONE_BYTE)
_UINT64_MASK: Final = (1 << 64) - 1
_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_DOUBLE: Final = Struct("<cd").pack
_NUMBER: Final = Struct("<d").pack
_TWO_BYTES: Final = Struct("2B").pack
# How many keys are remembered, how many texts with each, and how long these may be.
_KNOWN_MAX: Final = 1024
_KNOWN_TEXTS_MAX: Final = 64
_KNOWN_TEXT_MAX: Final = 40

_TRUE, _FALSE = b"\x10\x01", b"\x10\x00"


def varint(number: int) -> bytes:
    """Encode an integer; a negative one takes ten bytes, as int64 does on the wire."""
    if 0 <= number < 128:
        return _ONE_BYTE[number]
    if 0 < number < 16_384:
        return bytes((number & 127 | 128, number >> 7))
    number &= _UINT64_MASK
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: bytes, payload: bytes) -> bytes:
    """Encode a length-delimited field, an empty one included."""
    size = len(payload)
    return tag + (_ONE_BYTE[size] if size < 128 else varint(size)) + payload


def text_field(tag: bytes, text: str | None) -> bytes:
    """Encode a string field; nothing if it is empty, as proto3 does."""
    return field(tag, utf8(text)) if text else b""


def number_field(tag: bytes, number: int) -> bytes:
    """Encode a varint field; nothing if it is 0, as proto3 does."""
    return tag + varint(number) if number else b""


def utf8(text: str) -> bytes:
    """Encode text; a lone surrogate, which UTF-8 has no bytes for, becomes a question mark."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _string(value: str) -> bytes:
    encoded = utf8(value)
    size = len(encoded)
    return _SHORT_STRING[size] + encoded if size < 128 else b"\x0a" + varint(size) + encoded


def _bool(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def _integer(value: int) -> bytes:
    if _INT64_MIN <= value <= _INT64_MAX:
        return b"\x18" + varint(value)
    # OTLP has no wider integer; its digits say more than nothing.
    return _string(str(value))


def _double(value: float) -> bytes:
    return _DOUBLE(b"\x21", value)


def _bytes(value: bytes) -> bytes:
    return field(b"\x3a", value)


def _array(value: Sequence[Any]) -> bytes:
    return field(b"\x2a", b"".join([field(b"\x0a", any_value(item)) for item in value]))


def _mapping(value: Mapping[Any, Any]) -> bytes:
    return field(
        b"\x32", b"".join([field(b"\x0a", key_value(str(key), item)) for key, item in value.items()])
    )


def _nothing(value: None) -> bytes:
    return b""


_BY_TYPE: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _string,
    bool: _bool,
    int: _integer,
    float: _double,
    bytes: _bytes,
    tuple: _array,
    list: _array,
    dict: _mapping,
    type(None): _nothing,
}
# Subclasses, in the order in which they are told apart: bool is an int, str and bytes are sequences.
_BY_KIND: Final[tuple[tuple[type, Callable[[Any], bytes]], ...]] = (
    (str, _string),
    (int, _integer),
    (float, _double),
    (bytes, _bytes),
    (Sequence, _array),
    (Mapping, _mapping),
)


def any_value(value: Any) -> bytes:
    """Encode the payload of an `AnyValue`.

    Raises:
        TypeError: if OTLP has no form for the value's type.
    """
    encode = _BY_TYPE.get(type(value))
    if encode is not None:
        return encode(value)
    for kind, encode in _BY_KIND:
        if isinstance(value, kind):
            return encode(value)
    raise TypeError(f"OTLP has no form for a {type(value).__qualname__}")


_known_keys: dict[str, bytes] = {}


def _key(key: str) -> bytes:
    """Return the key's field and the tag of the value that follows, remembered: keys repeat."""
    if len(_known_keys) >= _KNOWN_MAX:
        _known_keys.clear()
    known = _known_keys[key] = text_field(b"\x0a", key) + b"\x12"
    return known


def key_value(key: str, value: Any) -> bytes:
    """Encode the payload of a `KeyValue`.

    Raises:
        TypeError: if OTLP has no form for the value's type.
    """
    head = _known_keys.get(key) or _key(key)
    encode = _BY_TYPE.get(type(value), any_value)
    return field(head, encode(value))


class _Known:
    """One key in one field, and what of its attributes is always the same.

    true, false: whole attributes. double, small, wide: all but the bytes of the number at its end, an
    integer of one or two. texts, single_texts: attributes with these values, as text or an array of one.
    """

    __slots__ = ("double", "false", "head", "single_texts", "small", "texts", "true", "wide")

    def __init__(self, tag: bytes, key: str) -> None:
        self.head = _known_keys.get(key) or _key(key)
        self.true, self.false = (self.whole(tag, _bool(value)) for value in (True, False))
        self.double = self.whole(tag, _double(0.0))[:-8]
        self.small = self.whole(tag, _integer(0))[:-1]
        self.wide = self.whole(tag, _integer(128))[:-2]
        self.texts: dict[str, bytes] = {}
        self.single_texts: dict[str, bytes] = {}

    def whole(self, tag: bytes, value: bytes) -> bytes:
        """Return the attribute with an encoded value."""
        return field(tag, field(self.head, value))

    def text(self, tag: bytes, value: str | tuple[str], text: str, known: dict[str, bytes]) -> bytes:
        """Return the attribute, remembered in `known`: models, hosts, methods and outcomes repeat."""
        encoded = self.whole(tag, any_value(value))
        if len(text) <= _KNOWN_TEXT_MAX:
            if len(known) >= _KNOWN_TEXTS_MAX:
                known.clear()
            known[text] = encoded
        return encoded


_known_by_tag: dict[bytes, dict[str, _Known]] = {}


def _remember(keys: dict[str, _Known], tag: bytes, key: str) -> _Known:
    if len(keys) >= _KNOWN_MAX:
        keys.clear()
    known = keys[key] = _Known(tag, key)
    return known


def attributes(tag: bytes, pairs: Iterable[tuple[str, Any]]) -> tuple[list[bytes], int]:
    """Encode each attribute as one field; return them and how many had no form in OTLP."""
    fields: list[bytes] = []
    add = fields.append
    lost = 0
    keys = _known_by_tag.setdefault(tag, {})
    for key, value in pairs:
        known = keys.get(key) or _remember(keys, tag, key)
        kind = type(value)
        # What telemetry is made of, most frequent first; anything else goes the long way.
        if kind is str:
            add(known.texts.get(value) or known.text(tag, value, value, known.texts))
        elif kind is int and 0 <= value < 16_384:
            if value < 128:
                add(known.small + _ONE_BYTE[value])
            else:
                add(known.wide + _TWO_BYTES(value & 127 | 128, value >> 7))
        elif kind is float:
            add(known.double + _NUMBER(value))
        elif kind is bool:
            add(known.true if value else known.false)
        elif kind is tuple and len(value) == 1 and type(value[0]) is str:
            text = value[0]
            add(known.single_texts.get(text) or known.text(tag, value, text, known.single_texts))
        else:
            try:
                add(known.whole(tag, any_value(value)))
            except (TypeError, RecursionError):
                lost += 1
    return fields, lost

"""The typed window: one reader for bytes, dicts and objects; a misfit costs no more than itself."""

from __future__ import annotations

import json
import types
from typing import Any

import pytest
from msgspec import Struct

from firsttoken.decoders import StreamError, WireEvent
from firsttoken.decoders._payload import Window, error_of, get, is_document, parse_json


class Inner(Struct):
    text: str | list[str] | None = None
    number: int | None = None


class Outer(Struct, rename={"kind": "type"}):
    kind: str | None = None
    index: int = 7
    inner: Inner | None = None
    items: list[Inner] | None = None
    anything: Any = None


WINDOW = Window(Outer)
WHOLE = Outer("a", 1, Inner("x", 2), [Inner(["y"])], {"z": 1})
AS_DICT = {
    "type": "a",
    "index": 1,
    "inner": {"text": "x", "number": 2},
    "items": [{"text": ["y"]}],
    "anything": {"z": 1},
}
AS_BYTES = json.dumps({**AS_DICT, "more": []}).encode()


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return types.SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


def test_bytes_dicts_and_objects_read_the_same() -> None:
    assert WINDOW.read(AS_BYTES) == WINDOW.read(WireEvent(AS_BYTES)) == WINDOW.read(AS_DICT) == WHOLE
    read = WINDOW.read(as_object({**AS_DICT, "anything": None}))
    assert read == Outer("a", 1, Inner("x", 2), [Inner(["y"])])


MISFITS: list[tuple[str, Any, Outer]] = [
    ("leaf", {"type": 5, "index": 1, "inner": {"text": "x"}}, Outer(None, 1, Inner("x"))),
    ("null for a number", {"index": None}, Outer()),
    ("number as text", {"index": "3"}, Outer(index=3)),
    ("float without a fraction", {"inner": {"number": 4.0}}, Outer(inner=Inner(None, 4))),
    ("float with a fraction", {"inner": {"number": 4.5}}, Outer(inner=Inner())),
    ("bool is no number", {"index": True}, Outer()),
    ("object in place of text", {"inner": {"text": {"a": 1}, "number": 1}}, Outer(inner=Inner(None, 1))),
    ("text in place of object", {"inner": "x", "index": 2}, Outer(index=2)),
    ("one bad item", {"items": [{"text": "a"}, 5, {"text": 6}]}, Outer(items=[Inner("a"), Inner()])),
    ("bad item in a union", {"inner": {"text": ["a", 5, "b"]}}, Outer(inner=Inner(["a", "b"]))),
]


@pytest.mark.parametrize(
    ("value", "expected"), [case[1:] for case in MISFITS], ids=[case[0] for case in MISFITS]
)
def test_what_does_not_fit_takes_its_default(value: Any, expected: Outer) -> None:
    assert WINDOW.read(value) == expected
    assert WINDOW.read(json.dumps(value).encode()) == expected
    assert WINDOW.read(as_object(value)) == expected


@pytest.mark.parametrize("payload", [b"", b"x", b"[]", b'"a"', b"5", b"null", b"{", "{}", [], 5, None, 1.5])
def test_what_is_no_object_is_none(payload: Any) -> None:
    assert WINDOW.read(payload) is None


def test_numbers_out_of_range_and_constants_of_javascript_are_survived() -> None:
    data = b'{"type":"a","inner":{"number":' + b"9" * 5000 + b'},"anything":NaN,"index":1e999}'
    read = WINDOW.read(data)
    assert read is not None
    assert (read.kind, read.index) == ("a", 7)


class Tagged(Struct, tag_field="t", tag="one"):
    value: int | None = None


class Other(Struct, tag_field="t", tag="two"):
    value: str | None = None


class Holder(Struct):
    held: Tagged | Other | None = None
    index: int = 0


def test_salvage_minds_tags() -> None:
    read = Window(Holder).read({"held": {"t": "two", "value": "x"}, "index": "bad"})
    assert read == Holder(Other("x"))


def test_an_attribute_that_raises_is_absent() -> None:
    class Odd:
        index = 3

        @property
        def type(self) -> str:
            raise RuntimeError

    assert WINDOW.read(Odd()) == Outer(index=3)
    assert get(Odd(), "type") is None


def test_json_is_forgiven_bad_characters() -> None:
    assert parse_json(b'{"a":"\xff","b":"\\ud83dx","c":"\\ud83d\\ude00"}') == {
        "a": "\ufffd",
        "b": "\ufffdx",
        "c": "\U0001f600",
    }


def test_a_document_is_an_object_or_array() -> None:
    assert is_document(b" {} ")
    assert is_document(b"[1]")
    assert not any(map(is_document, (b"5", b'"a"', b"{", b"{}{}", b"", b"[" * 100_000)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("oh", StreamError(message="oh")),
        ({"type": "t", "code": 5, "message": "m"}, StreamError("t", "5", "m")),
        ({"status": "s", "detail": [{"loc": 1}]}, StreamError("s", None, '[{"loc": 1}]')),
        ({}, StreamError()),
        ({"type": "error", "code": "c", "message": "m"}, StreamError(None, "c", "m")),
        ({"message": {"detail": "x"}}, StreamError(message='{"detail": "x"}')),
        (types.SimpleNamespace(type="t", code=None, message="m"), StreamError("t", None, "m")),
    ],
)
def test_errors_of_all_kinds(error: Any, expected: StreamError) -> None:
    assert error_of(error) == expected

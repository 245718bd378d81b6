"""Attributes of models and other objects, read without asking for what is not there."""

from __future__ import annotations

import types
from collections import UserDict
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Struct

from firsttoken.decoders._attributes import Picker, get, has
from firsttoken.decoders._payload import Window

pydantic = pytest.importorskip("pydantic")


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: str | None = None
    snake_case: int | None = None
    parts: list[Part] | None = None

    @property
    def shout(self) -> str:
        return (self.text or "").upper()


@dataclass
class Plain:
    text: str = "a"


class Slotted:
    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = "a"


class Declared(Struct, rename="camel"):
    text: str | None = None
    snake_case: int | None = None
    parts: list[Declared] | str | None = None
    more: Any = None


class One(Struct, tag_field="kind", tag="one"):
    text: str | None = None


class Two(Struct, tag_field="kind", tag="two"):
    number: int | None = None


class Holder(Struct):
    held: One | Two | None = None


@pytest.mark.parametrize(
    "payload",
    [
        Part(text="a"),
        Plain(),
        Slotted(),
        {"text": "a"},
        UserDict(text="a"),
        types.SimpleNamespace(text="a"),
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_every_kind_of_object_is_asked_alike(payload: Any) -> None:
    assert get(payload, "text") == "a"
    assert get(payload, "nothing") is None
    assert has(payload, "text")
    assert not has(payload, "nothing")


def test_what_the_model_did_not_declare_and_what_it_computes_is_there() -> None:
    part = Part(text="a", more=1)
    assert (get(part, "more"), get(part, "shout")) == (1, "A")
    assert has(part, "shout")
    assert has(part, "snake_case")


def test_picked_is_what_is_declared_and_there() -> None:
    part = Part(
        text="a", snake_case=3, more={"x": 1}, other=5, parts=[Part(text="b"), Part(parts=[Part(text="c")])]
    )
    assert Picker(Declared).pick(part) == {
        "text": "a",
        "snakeCase": 3,
        "more": {"x": 1},
        "parts": [{"text": "b"}, {"parts": [{"text": "c"}]}],
    }


@pytest.mark.parametrize("value", [None, 5, "x", {"text": "a"}, Plain(), [1, {"a": Plain()}]])
def test_what_is_no_model_is_left_as_it_is(value: Any) -> None:
    assert Picker(Declared).pick(value) == value


def test_a_window_reads_models_like_json() -> None:
    part = Part(text="a", snake_case=3, parts=[Part(text="b")])
    data = b'{"text":"a","snakeCase":3,"parts":[{"text":"b"}]}'
    assert Window(Declared).read(part) == Window(Declared).read(data)


def test_a_model_built_without_validation_is_read_as_far_as_it_goes() -> None:
    part = Part.model_construct(text=5, parts=[Part.model_construct(text="b"), "odd"])
    assert Window(Declared).read(part) == Declared(parts=[Declared("b")])


def test_a_field_of_two_struct_types_is_picked_for_both() -> None:
    part = Part(held=Part(kind="two", number=2))
    assert Picker(Holder).pick(part) == {"held": {"kind": "two", "number": 2}}
    assert Window(Holder).read(part) == Holder(Two(2))

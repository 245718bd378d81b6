"""One JSON array sent piecemeal: each element is seen when it is complete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.decoders import Undecoded, WireEvent
from firsttoken.decoders.jsonarray import MAX_ELEMENT_BYTES, JSONArrayFraming
from tests.decoders.cutting import CUTS, cut, framed


def data_of(told: list[Any]) -> list[bytes]:
    assert all(event.dispatched for event in told)
    return [event.data for event in told]


def test_the_first_element_is_told_when_it_is_complete() -> None:
    framing = JSONArrayFraming()
    assert framing.feed(b'[{"a": [1, {"b"') == []
    assert framing.feed(b': "]}"}]}') == [WireEvent(b'{"a": [1, {"b": "]}"}]}')]
    assert framing.feed(b",\r\n{}") == [WireEvent(b"{}")]
    assert framing.feed(b"]\n") == []
    assert framing.flush() == []


def test_brackets_quotes_and_backslashes_in_strings_are_text() -> None:
    body = rb'[{"a":"\"]},{[\\"},"x,y",{"\\":"\\\\"}]'
    assert data_of(framed(JSONArrayFraming(), [body])) == [
        rb'{"a":"\"]},{[\\"}',
        b'"x,y"',
        rb'{"\\":"\\\\"}',
    ]


def test_a_backslash_at_a_cut_still_escapes() -> None:
    assert data_of(framed(JSONArrayFraming(), [b'[{"a":"\\', b'"}"', b"}]"])) == [b'{"a":"\\"}"}']
    assert data_of(framed(JSONArrayFraming(), [b'[{"a":"\\', b"", b'"}"', b"}]"])) == [b'{"a":"\\"}"}']


def test_what_the_end_cuts_off_is_told_but_not_dispatched() -> None:
    assert framed(JSONArrayFraming(), [b'[{"a":1},{"b"']) == [
        WireEvent(b'{"a":1}'),
        WireEvent(b'{"b"', dispatched=False),
    ]


def test_documents_one_after_another() -> None:
    body = b'{\n "a": 1\n}\n{"b": [2]}{"c": 3}'
    assert data_of(framed(JSONArrayFraming(documents=True), [body])) == [
        b'{\n "a": 1\n}',
        b'{"b": [2]}',
        b'{"c": 3}',
    ]


@pytest.mark.parametrize("size", [1 << 16, 1 << 30])
def test_an_element_over_the_bound_is_one_loss(size: int) -> None:
    body = b'[{"a":1},"' + b"x" * (MAX_ELEMENT_BYTES + 1) + b'",{"b":2}]'
    told = framed(JSONArrayFraming(), [body[at : at + size] for at in range(0, len(body), size)])
    assert [type(event) for event in told] == [WireEvent, Undecoded, WireEvent]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]), st.booleans(), CUTS)
@settings(max_examples=300, deadline=None)
def test_any_array_at_any_cut_tells_its_elements(
    values: list[Any], indent: int | None, ascii_only: bool, places: list[int]
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    told = framed(JSONArrayFraming(), cut(body, places))
    assert [json.loads(data.decode("utf-8", "surrogatepass")) for data in data_of(told)] == values

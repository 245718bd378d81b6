"""Whatever a payload is, a format reads it without raising, and says so where it could not."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firsttoken.decoders import _delta, table
from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Undecoded

NAMES = table.formats()
OF_TEXT = {"text", "replicate"}


def words() -> list[str]:
    """Return every key that formats look at and every word they know, to get past their first look."""
    found: set[str] = set()
    for path in (Path(table.__file__).parent / "formats").glob("*.py"):
        module = sys.modules.get(f"firsttoken.decoders.formats.{path.stem}")
        for made in vars(module).values() if module is not None else ():
            if isinstance(made, type) and issubclass(made, msgspec.Struct):
                found.update(field.encode_name for field in msgspec.structs.fields(made))
        found.update(
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value
        )
    return sorted(found)


WORDS = words()
known = st.sampled_from(WORDS)
numbers = st.integers() | st.floats() | st.integers(10**30, 10**40)
documents = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8) | known,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known, inner, max_size=5),
    max_leaves=12,
)
wire_events = st.builds(
    WireEvent,
    st.binary(max_size=40) | documents.map(lambda document: json.dumps(document).encode()),
    st.none() | known,
    st.booleans(),
    st.booleans(),
)


class Odd:
    """An object of which every attribute is there, and none is what it should be."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.value


class Hostile:
    """An object that breaks when it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


payloads = (
    wire_events | documents | documents.map(Odd) | st.tuples(documents, documents) | st.builds(Hostile)
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stream=st.lists(payloads, max_size=5))
def test_any_payload_is_read_without_raising(name: str, stream: list[Any]) -> None:
    reader = table.row_named(name).factory()
    for payload in stream:
        for delta in reader.read(payload):
            assert type(delta).__module__ == _delta.__name__


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_TEXT])
@pytest.mark.parametrize(
    "data",
    [b"{", b"\xff\xfe", b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000],
    ids=["cut", "no UTF-8", "nested and cut", "nested"],
)
def test_what_is_no_readable_json_is_one_undecoded(name: str, data: bytes) -> None:
    event = "messages" if name == "langgraph" else "data"
    (delta,) = table.row_named(name).factory().read(WireEvent(data, event))
    assert type(delta) is Undecoded


@pytest.mark.parametrize("name", NAMES)
def test_a_named_event_without_data_is_nothing_lost(name: str) -> None:
    deltas = table.row_named(name).factory().read(WireEvent(b"", "unheard-of", dispatched=False))
    assert not deltas


@pytest.mark.parametrize("name", NAMES)
def test_huge_numbers_and_strings_do_no_harm(name: str) -> None:
    reader = table.row_named(name).factory()
    for key in WORDS:
        if key.isidentifier():
            reader.read(WireEvent(b'{"%s":%s}' % (key.encode(), b"9" * 5_000), "data"))
            reader.read(WireEvent(b'{"%s":"%s"}' % (key.encode(), b"x" * 5_000), "data"))

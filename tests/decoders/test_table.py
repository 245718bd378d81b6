"""The table: one row per format, one format per row."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from firsttoken.decoders import formats, table
from firsttoken.decoders.table import row_named
from firsttoken.errors import ConfigError

FOLDER = Path(inspect.getfile(table)).parent / "formats"
FILES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


@pytest.mark.parametrize("name", formats())
def test_a_row_makes_the_format_of_its_name(name: str) -> None:
    first, second = row_named(name).factory(), row_named(name).factory()
    assert first is not second
    assert first.name == name
    assert {type(first.has_done), type(first.has_finish)} == {bool}
    assert first.provider is None or isinstance(first.provider, str)


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_formats_has_a_row(file: str) -> None:
    module = importlib.import_module(f"firsttoken.decoders.formats.{file}")
    rows = [row_named(name).factory for name in formats()]
    assert any(getattr(factory, "__module__", None) == module.__name__ for factory in rows)


def test_names_are_told_apart() -> None:
    assert len(set(formats())) == len(formats())


def test_an_unknown_name_is_refused_with_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no format 'gpt'.*openai\.chat"):
        row_named("gpt")


@pytest.mark.parametrize("body", [None, "", "x", [], [1], {}, {"a": 1}, 5, object()])
def test_nothing_fits_what_says_nothing(body: Any) -> None:
    assert table.row_of(None, body) is None


def test_rows_that_know_the_host_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first = table.Row("first", object, lambda name, body: True)  # type: ignore[arg-type]
    second = table.Row("second", object, lambda name, body: True, hosts={"h.example": None})  # type: ignore[arg-type]
    monkeypatch.setattr(table, "_ROWS", [first, second])
    assert table.row_of(None, {}) is first
    assert table.row_of(None, {}, host="h.example:443") is second

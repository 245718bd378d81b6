"""Attributes of SDK objects, at the price of dict look-ups. Floor 2 (think); runs on the thinker thread.

Nearly all SDK objects are pydantic models, on which asking for an attribute that is not there costs
microseconds. What they have stands in `__dict__`, and what the SDK did not know in `__pydantic_extra__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct


def get(payload: Any, key: str) -> Any:
    """Return `payload[key]` of a mapping, or attribute `key` of an object; None if there is none."""
    if isinstance(payload, dict):
        return payload.get(key)
    try:
        fields = payload.__dict__
        if key in fields:
            return fields[key]
        if hasattr(type(payload), "__pydantic_extra__"):
            extra = payload.__pydantic_extra__
            if extra is not None and key in extra:
                return extra[key]
            return getattr(payload, key) if _is_computed(type(payload), key) else None
    except Exception:
        pass  # an object of another kind, or one that raises whenever it is touched
    try:
        return payload.get(key) if isinstance(payload, Mapping) else getattr(payload, key, None)
    except Exception:
        return None


def has(payload: Any, key: str) -> bool:
    """Return whether an object has attribute `key`, be it None."""
    if get(payload, key) is not None:
        return True
    try:
        return key in payload.__dict__ or _is_computed(type(payload), key)
    except Exception:
        return False


def _is_computed(kind: type, key: str) -> bool:
    return any(key in base.__dict__ for base in kind.__mro__)


class Picker:
    """Picks out of a model what a struct type declares, as dicts: `msgspec` reads these much faster.

    shape: a struct type whose fields all have defaults; a field that is absent or None is left out.
    """

    __slots__ = ("_fields",)

    def __init__(self, shape: type[Struct]) -> None:
        self._fields: list[tuple[str, str, Picker | None]] = []
        self._add(shape, {shape: self})

    def _add(self, shape: type[Struct], pickers: dict[type[Struct], Picker]) -> None:
        config = shape.__struct_config__
        if config.tag_field is not None:
            self._fields.append((config.tag_field, config.tag_field, None))
        for field in msgspec.structs.fields(shape):
            self._fields.append((field.name, field.encode_name, _picker_of(field.type, pickers)))

    def pick(self, value: Any) -> Any:
        """Return the declared part of a model, of each model in a list, or anything else as it is."""
        if isinstance(value, (list, tuple)):
            return [self.pick(item) for item in value]
        kind = type(value)
        if kind is str or kind is dict or not hasattr(kind, "__pydantic_extra__"):
            return value
        fields, extra = value.__dict__, value.__pydantic_extra__
        picked = {}
        for name, key, inner in self._fields:
            item = fields.get(name)
            if item is None:
                if key is not name:
                    item = fields.get(key)
                if item is None and extra:
                    item = extra.get(key)
                if item is None:
                    continue
            picked[key] = item if inner is None else inner.pick(item)
        return picked


def _picker_of(declared: Any, pickers: dict[type[Struct], Picker]) -> Picker | None:
    """Return the picker of the structs that a field's type mentions, None if it mentions none."""
    if isinstance(declared, type) and issubclass(declared, Struct):
        picker = pickers.get(declared)
        if picker is None:
            picker = pickers[declared] = Picker.__new__(Picker)
            picker._fields = []
            picker._add(declared, pickers)
        return picker
    mentioned = [picker for part in get_args(declared) if (picker := _picker_of(part, pickers)) is not None]
    if len(mentioned) < 2:
        return mentioned[0] if mentioned else None
    union = Picker.__new__(Picker)
    union._fields = [field for picker in mentioned for field in picker._fields]
    return union

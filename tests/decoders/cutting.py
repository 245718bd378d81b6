"""Feeding a framing in pieces, and cutting bytes at places hypothesis chooses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

CUTS = st.lists(st.integers(0, 10_000), max_size=6)


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Return `body` cut at `places`, taken modulo its length."""
    ends = sorted(place % (len(body) + 1) for place in places)
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def framed(framing: Any, pieces: Iterable[bytes]) -> list[Any]:
    """Return all that a framing tells of `pieces`, its flush included."""
    told = [event for piece in pieces for event in framing.feed(piece)]
    return told + list(framing.flush())


def each_byte(body: bytes) -> list[bytes]:
    """Return `body` byte by byte."""
    return [body[at : at + 1] for at in range(len(body))]

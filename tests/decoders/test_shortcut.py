"""The shortcut past chunks that are alike: nobody can tell from the account whether it was taken."""

from __future__ import annotations

import random

import pytest

from tests.decoders.shortcut import chunks_like, pulled, pushed, unhurried
from tests.replay_server import cases

_BODIES = [
    (file.read_bytes(), facts.get("content_type") or facts.get("content_type_usual"))
    for _, file, facts in cases()
    if file.suffix == ".sse"
]
_ROUNDS = 150


@pytest.mark.parametrize("seed", range(4))
def test_mistreated_streams_are_accounted_for_as_if_every_chunk_had_been_decoded(seed: int) -> None:
    rng = random.Random(seed)
    passed_by = 0
    for _ in range(_ROUNDS):
        body, content_type = rng.choice(_BODIES)
        chunks = chunks_like(body, rng.choice(_BODIES)[0], rng)
        time_ns, times_ns = 0, []
        for _ in chunks:
            time_ns += rng.choice((1, 1000, 10_000_000, 60_000_000))
            times_ns.append(time_ns)
        account, skimmed = pulled(chunks, times_ns, content_type, rng)
        assert account == unhurried(chunks, times_ns, content_type), chunks
        passed_by += skimmed
    assert passed_by > 10


@pytest.mark.parametrize("seed", range(4))
def test_mistreated_bodies_are_accounted_for_as_if_every_one_had_been_decoded(seed: int) -> None:
    rng = random.Random(seed)
    passed_by = 0
    for _ in range(_ROUNDS):
        body, content_type = rng.choice(_BODIES)
        chunks = [chunk for chunk in chunks_like(body, rng.choice(_BODIES)[0], rng) if chunk]
        account, times_ns, skimmed = pushed(chunks, content_type, rng)
        # What is neither bytes nor like them cannot be read later, and is no body anyway.
        kept = [chunk if isinstance(chunk, bytes | bytearray) else None for chunk in chunks]
        assert account == unhurried(kept, times_ns, content_type), chunks
        passed_by += skimmed
    assert passed_by > 10

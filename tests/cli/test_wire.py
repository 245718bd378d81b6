"""What the local upstream sends: the OpenAI wire, and recorded bodies in pieces."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.cli._text import tokens
from firsttoken.cli._wire import (
    CONTENT_TYPES,
    EVENT_BYTES,
    MIN_PIECES,
    Piece,
    content_type_of,
    recorded,
    scripted,
    scripted_tokens,
)
from firsttoken.decoders import Done, Finish, Identity, Text, Usage, decoder_for
from firsttoken.errors import ConfigError

CORPUS = Path(__file__).parent.parent / "corpus"


def chunks(pieces: list[Piece]) -> list[dict[str, object]]:
    return [json.loads(piece.data[6:]) for piece in pieces[:-1]]


def test_a_scripted_answer_is_the_openai_wire() -> None:
    pieces = list(scripted(seed=1, number=1, duration_s=3.0))
    role, *_, finish, usage = chunks(pieces)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}  # type: ignore[index]
    assert finish["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == len(pieces) - 4  # type: ignore[index]
    assert pieces[-1].data == b"data: [DONE]\n\n"


def test_our_own_decoder_reads_the_scripted_answer() -> None:
    pieces = list(scripted(seed=3, number=2, duration_s=2.0))
    decoder = decoder_for()
    deltas = [delta for piece in pieces for delta in decoder.feed(piece.data)]
    text = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    assert text == "".join(tokens(_after_first_token(3, 2), len(pieces) - 4))
    assert {type(delta) for delta in deltas} == {Text, Finish, Usage, Identity, Done}


def _after_first_token(seed: int, number: int) -> Random:
    """Return the random numbers as they are once the time of the first token was drawn."""
    random = Random(f"{seed} {number}")
    random.lognormvariate(-0.9, 0.3)
    return random


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(1.0, 10.0))
def test_a_scripted_answer_takes_the_time_it_should(seed: int, duration_s: float) -> None:
    pieces = list(scripted(seed, 1, duration_s))
    assert scripted_tokens(seed, 1, duration_s) == len(pieces) - 4
    assert sum(piece.delay_s for piece in pieces) == pytest.approx(duration_s, rel=0.4)
    assert 0 < sum(piece.delay_s for piece in pieces[:2]) <= duration_s / 5 + 1e-9


def test_a_faster_model_says_more_in_the_same_time() -> None:
    normal, fast = list(scripted(1, 2, 5.0)), list(scripted(1, 2, 5.0, pace=3.0))
    assert len(fast) == pytest.approx(3 * len(normal), rel=0.05)
    assert sum(piece.delay_s for piece in fast) == pytest.approx(5.0, rel=0.3)


def test_the_same_seed_makes_the_same_answer_and_each_stream_its_own() -> None:
    assert [*scripted(1, 1, 2.0)] == [*scripted(1, 1, 2.0)]
    assert [*scripted(1, 1, 2.0)] != [*scripted(1, 2, 2.0)]
    assert [*scripted(1, 1, 2.0)] != [*scripted(2, 1, 2.0)]


def test_the_size_of_an_answer_is_known_before_it_is_written() -> None:
    sent = sum(len(piece.data) for piece in scripted(1, 1, 10.0))
    assert scripted_tokens(1, 1, 10.0) * EVENT_BYTES == pytest.approx(sent, rel=0.05)


def test_text_goes_on_for_as_long_as_it_is_asked_to() -> None:
    assert len([*tokens(Random(1), 5000)]) == 5000


@given(st.binary(max_size=2000), st.sampled_from(sorted(CONTENT_TYPES.values())), st.integers(0, 100))
def test_a_recorded_body_is_sent_whole_whatever_is_in_it(body: bytes, content_type: str, seed: int) -> None:
    pieces = recorded(body, content_type, seed, number=1, duration_s=2.0)
    assert b"".join(piece.data for piece in pieces) == body
    assert all(piece.data and piece.delay_s >= 0 for piece in pieces)
    assert sum(piece.delay_s for piece in pieces) <= 2.0 + 1e-9


@pytest.mark.parametrize("ending", [".sse", ".ndjson", ".eventstream", ".json"])
def test_recordings_of_every_framing_are_cut_at_their_events(ending: str) -> None:
    files = sorted(
        file for file in CORPUS.iterdir() if file.suffix == ending and file.name != "manifest.json"
    )
    assert files
    for file in files:
        body = file.read_bytes()
        pieces = recorded(body, content_type_of(str(file)), seed=1, number=1, duration_s=60.0)
        assert b"".join(piece.data for piece in pieces) == body
        assert len(pieces) >= min(len(body), MIN_PIECES) * 0.7


def test_a_body_ends_with_what_was_ready_at_once() -> None:
    pieces = recorded(b"a\n" * 40, CONTENT_TYPES[".ndjson"], seed=1, number=1, duration_s=2.0)
    assert [piece.delay_s for piece in pieces[-3:]] == [0.0] * 3


def test_the_content_type_goes_by_the_end_of_the_name() -> None:
    assert content_type_of("/there/Stream.SSE") == "text/event-stream"
    with pytest.raises(ConfigError, match=r"\.sse, \.ndjson"):
        content_type_of("stream.txt")

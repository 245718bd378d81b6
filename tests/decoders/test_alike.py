"""Chunks like the one before: told from their bytes alone, and never otherwise than decoding tells them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from firsttoken.decoders import Delta, Reasoning, Refusal, Text, ToolCall, ToolPlan, decoder_for
from firsttoken.decoders.chunks import ChunkDecoder
from firsttoken.decoders.sse import MAX_EVENT_BYTES
from tests.replay_server import cases, cut, sse_pieces

CONTENT = (Text, Reasoning, Refusal, ToolCall, ToolPlan)


def event(text: Any, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def learned(*chunks: bytes) -> ChunkDecoder:
    """Return a decoder that was fed `chunks`, after one that tells the format."""
    decoder = decoder_for("openai.chat")
    assert isinstance(decoder, ChunkDecoder)
    for chunk in (event("first"), event("second"), *chunks):
        decoder.feed(chunk)
    return decoder


def test_chunks_that_differ_in_their_text_are_skimmed() -> None:
    chunks = [event(text) for text in ("a", " b", "c, d", "äöü")]
    assert learned().skim(chunks[:3], 0) == 3
    assert learned().skim(chunks[:3], 2) == 3


@pytest.mark.parametrize(
    "other",
    [
        event(""),
        event('a "quote"'),
        event(None),
        event("a", id="2"),
        event("a", usage={"prompt_tokens": 1}),
        event("a").replace(b"null", b'"stop"'),
        event("a") + event("b"),
        event("a" * (MAX_EVENT_BYTES + 1)),
        event("\\").replace(rb"\\", b"\\"),
        event("\\").replace(rb"\\", b"\0"),
        event("a")[:-1],
        event("a").decode(),
        b": ping\n\n",
        b"data: [DONE]\n\n",
        None,
    ],
)
def test_any_other_chunk_is_left_to_the_decoder(other: Any) -> None:
    assert learned().skim([event("a"), other, event("b")], 0) == 1


def test_half_an_event_is_never_skimmed() -> None:
    whole = event("a")
    decoder = learned()
    decoder.feed(whole[:40])
    assert decoder.skim([event("b")], 0) == 0
    decoder = learned(whole + whole[:40])
    assert decoder.skim([event("b")], 0) == 0


@pytest.mark.parametrize(
    "last",
    [
        event("m"),  # twice in the event: which of the two it is nobody can tell
        event("a\nb"),
        b": ping\n\n",
        event(None),
        event("a").replace(b"data: ", b"id: 7\ndata: "),
    ],
)
def test_no_frame_is_drawn_of_an_event_that_does_not_show_its_text(last: bytes) -> None:
    assert learned(last).skim([last, last], 0) == 0


def test_a_chunk_of_another_type_between_ends_the_likeness() -> None:
    decoder = learned()
    decoder.feed(event("a")[:40].decode())
    assert decoder.skim([event("b")], 0) == 0


def test_events_with_counters_are_given_up_soon() -> None:
    decoder = learned()
    for number in range(50):
        chunk = event("a", id=str(number))
        assert decoder.skim([chunk], 0) == 0
        decoder.feed(chunk)
    assert decoder.skim([event("a", id="49")], 0) == 0


def says_content(deltas: Sequence[Delta]) -> bool:
    return any(isinstance(delta, CONTENT) for delta in deltas)


@pytest.mark.parametrize("pieces", ["events", "cut"])
@pytest.mark.parametrize(("name", "file", "facts"), cases(), ids=lambda value: str(value)[:40])
def test_in_every_stream_of_the_corpus_what_is_skimmed_is_content(
    name: str, file: Any, facts: dict[str, Any], pieces: str
) -> None:
    body = file.read_bytes()
    chunks = sse_pieces(body) if pieces == "events" else cut(body, random.Random(name).randint(40, 400))
    content_type = facts.get("content_type") or facts.get("content_type_usual")
    decoded = decoder_for(content_type=content_type)
    skimmed = decoder_for(content_type=content_type)
    assert isinstance(skimmed, ChunkDecoder)
    for index, chunk in enumerate(chunks):
        deltas = decoded.feed(chunk)
        end = skimmed.skim(chunks, index)
        if end > index:
            assert says_content(deltas)
            skimmed.wire_events -= end - index - 1
        else:
            assert skimmed.feed(chunk) == deltas
    assert skimmed.flush() == decoded.flush()
    assert skimmed.wire_events == getattr(decoded, "wire_events", None)

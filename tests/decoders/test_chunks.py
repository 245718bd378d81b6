"""The joining decoder: whatever kind the chunks are, format and first content are found in time."""

from __future__ import annotations

import json
import types
from typing import Any

import pytest

from firsttoken.decoders import (
    ChunkDecoder,
    Delta,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    StreamError,
    Text,
    ToolCall,
    Undecoded,
)
from firsttoken.decoders.formats.openai_chat import OpenAIChat
from firsttoken.decoders.undecided import MAX_HELD_PAYLOADS
from tests.corpus.write import STREAMS
from tests.decoders.corpus import Case, cases
from tests.decoders.facts import facts_of, read_all

CHAT = {
    "id": "c",
    "model": "m",
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"content": "a"}}],
}
UNKNOWN = {"step": 1, "state": {"x": []}}


def fed(*chunks: Any, decoder: ChunkDecoder | None = None) -> list[list[Delta]]:
    """Return the deltas of each chunk, and then of the end."""
    decoder = decoder or ChunkDecoder()
    return [list(decoder.feed(chunk)) for chunk in chunks] + [list(decoder.flush())]


def sse(payload: Any, name: str | None = None) -> bytes:
    data = payload if isinstance(payload, str) else json.dumps(payload)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return types.SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_bytes(wrap: Any) -> None:
    assert fed(wrap(sse(CHAT))) == [[Identity("c", "m"), Text("a")], []]


def test_text_dicts_and_objects_tell_the_same() -> None:
    for chunk in (sse(CHAT).decode(), json.dumps(CHAT), CHAT, as_object(CHAT)):
        assert fed(chunk) == [[Identity("c", "m"), Text("a")], []]


JSON_CASES = [case for case in cases() if case.facts["framing"] in ("sse", "ndjson", "jsonarray")]


@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.facts["file"])
def test_payloads_as_dicts_tell_what_the_wire_told(case: Case) -> None:
    named = {"openai.assistants", "replicate", "text", "langserve", "langgraph"}  # events whose name counts
    wire = ChunkDecoder()
    told = facts_of(read_all(wire, [case.body]), wire.wire_events)
    if wire.format_name in named or wire.format_name is None or "snapshots" in case.facts["notes"]:
        pytest.skip("what an event is stands in its name, or in its not having one")
    payloads = read_all(ChunkDecoder(Collector()), [case.body])
    dicts = [document for _, documents in payloads for document in documents if isinstance(document, dict)]
    decoder = ChunkDecoder()
    facts = facts_of(read_all(decoder, dicts), decoder.wire_events)
    for key in ("content", "refusal", "tool_calls", "response_id", "response_model"):
        assert facts[key] == told[key], key


class Collector:
    """A format that returns the JSON documents it is given."""

    name, provider, has_done, has_finish = "collector", None, False, False

    def read(self, payload: Any) -> Any:
        try:
            return (json.loads(payload.data),)
        except ValueError:
            return ()


@pytest.mark.parametrize("chunk", [None, b"", "", {}, bytearray()])
def test_nothing_is_no_content(chunk: Any) -> None:
    assert fed(chunk, CHAT, chunk) == [[], [Identity("c", "m"), Text("a")], [], []]


def test_text_tokens_are_content_each() -> None:
    assert fed("Hel", "lo", " {", "}", "", "data") == [
        [Text("Hel")],
        [Text("lo")],
        [Text(" {")],
        [Text("}")],
        [],
        [Text("data")],
        [],
    ]


def test_a_first_token_like_a_field_name_waits_for_the_second_only() -> None:
    assert fed("data", " is", " new") == [[], [Text("data"), Text(" is")], [Text(" new")], []]


def test_text_that_is_cut_anywhere_is_still_sse() -> None:
    body = (sse(CHAT) + sse("[DONE]")).decode()
    for size in (1, 3, 7, 50):
        told = fed(*(body[at : at + size] for at in range(0, len(body), size)))
        assert [delta for deltas in told for delta in deltas] == [
            Identity("c", "m"),
            Text("a"),
            Done("[DONE]"),
        ]


def test_a_ping_first_decides_nothing() -> None:
    told = fed(sse({"type": "ping"}, "ping"), b": comment\n\n", sse(CHAT))
    assert told == [[KeepAlive()], [KeepAlive()], [Identity("c", "m"), Text("a")], []]


def test_a_role_only_chunk_decides_but_is_no_content() -> None:
    decoder = ChunkDecoder()
    role = {**CHAT, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    assert list(decoder.feed(sse(role))) == [Identity("c", "m")]
    assert decoder.format_name == "openai.chat"


def test_unknown_payloads_wait_for_the_one_that_tells() -> None:
    assert fed(UNKNOWN, UNKNOWN, CHAT) == [[], [], [Identity("c", "m"), Text("a")], []]


def test_what_waited_is_read_with_what_tells() -> None:
    told = fed(sse({"run_id": "r"}, "metadata"), sse({"type": "AIMessageChunk", "content": "x"}, "data"))
    assert told == [[], [Identity("r"), Text("x")], []]


def test_unknown_payloads_become_content_when_too_many_wait() -> None:
    told = fed(*[UNKNOWN] * (MAX_HELD_PAYLOADS + 2))
    assert told[:MAX_HELD_PAYLOADS] == [[]] * MAX_HELD_PAYLOADS
    assert told[MAX_HELD_PAYLOADS:] == [[Text("")] * (MAX_HELD_PAYLOADS + 1), [Text("")], []]


def test_unknown_payloads_become_content_at_the_end() -> None:
    assert fed(UNKNOWN) == [[], [Text("")]]


def test_payloads_of_unknown_shape_with_text_are_content_at_once() -> None:
    assert fed({"token": "x"}, {"token": ""}, {"note": 1}) == [[Text("x")], [], [], []]


def test_a_guess_is_given_up_for_a_known_shape() -> None:
    told = fed(sse("starting"), sse(CHAT), sse(CHAT))
    assert told == [[Text("starting")], [Identity("c", "m"), Text("a")], [Text("a")], []]


def test_a_broken_first_event_does_not_make_the_stream_text() -> None:
    told = fed(sse('{"id":"c","choices":[{"del'), sse(CHAT))
    assert [type(delta) for delta in told[1]] == [Undecoded, Identity, Text]


def test_an_object_nobody_knows_is_content() -> None:
    class Piece:
        __slots__ = ()

    assert fed(Piece(), Piece()) == [[Text("")], [Text("")], []]


def test_an_object_nobody_knows_tells_its_text() -> None:
    assert fed(types.SimpleNamespace(content="x"), types.SimpleNamespace(content="")) == [
        [Text("x")],
        [],
        [],
    ]


def test_an_object_of_a_named_format_that_is_none_is_a_loss() -> None:
    (told, _) = fed(5, decoder=ChunkDecoder(OpenAIChat()))
    assert [type(delta) for delta in told] == [Undecoded]


def test_an_error_alone_is_told_without_a_format() -> None:
    decoder = ChunkDecoder()
    assert list(decoder.feed(sse({"error": {"type": "t", "message": "m"}}))) == [
        StreamError("t", None, "m")
    ]
    assert (decoder.format_name, decoder.has_done, decoder.has_finish) == (None, False, False)


def test_a_format_that_raises_costs_its_event_only() -> None:
    class Broken(Collector):
        def read(self, payload: Any) -> Any:
            raise KeyError(payload)

    (told, _) = fed(sse(CHAT), decoder=ChunkDecoder(Broken()))
    assert told == [Undecoded("collector cannot read this: KeyError")]


def test_done_is_due_on_the_wire_but_not_from_an_sdk() -> None:
    wire, sdk = ChunkDecoder(), ChunkDecoder()
    wire.feed(sse(CHAT))
    sdk.feed(as_object(CHAT))
    assert (wire.has_done, wire.has_finish) == (True, True)
    assert (sdk.has_done, sdk.has_finish) == (False, True)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("API.GROQ.COM:443", "groq"),
        ("my.openai.azure.com", "azure.ai.openai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("127.0.0.1:11434", "ollama"),
        ("127.0.0.1:8000", None),
        ("api.openai.com.evil.example", None),
        (None, None),
    ],
)
def test_the_host_tells_the_provider(host: str | None, provider: str | None) -> None:
    decoder = ChunkDecoder(host=host)
    decoder.feed(CHAT)
    assert decoder.provider == provider


def test_the_package_tells_the_provider() -> None:
    decoder = ChunkDecoder()
    module = type("Chunk", (types.SimpleNamespace,), {"__module__": "groq.types.chat"})
    decoder.feed(module(**vars(as_object(CHAT))))
    assert (decoder.format_name, decoder.provider) == ("openai.chat", "groq")


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.file)
def test_feed_is_read_laid_flat(stream: Any) -> None:
    pieces = [stream.body[at : at + 60] for at in range(0, len(stream.body), 60)]
    reading, feeding = ChunkDecoder(), ChunkDecoder()
    for piece in pieces:
        assert list(feeding.feed(piece)) == [delta for told in reading.read(piece) for delta in told.deltas]
    assert list(feeding.flush()) == [delta for told in reading.read_end() for delta in told.deltas]
    assert feeding.wire_events == reading.wire_events


def test_first_content_is_told_with_the_chunk_that_brings_it() -> None:
    for stream in STREAMS:
        if stream.entry["framing"] != "sse" or stream.entry["expected"]["first_output"] is None:
            continue
        events = [event + b"\n\n" for event in stream.body.replace(b"\r\n", b"\n").split(b"\n\n") if event]
        if len(events) < 2 or b"\r" in stream.body.replace(b"\r\n", b""):
            continue
        whole = read_all(ChunkDecoder(), [stream.body])
        expected = next(event for event, deltas in whole if any(map(is_output, deltas)))
        decoder = ChunkDecoder()
        for chunk in events:
            deltas = decoder.feed(chunk)
            if any(map(is_output, deltas)):
                break
        assert decoder.wire_events - 1 == expected, stream.file


def is_output(delta: Delta) -> bool:
    return isinstance(delta, (Text, Reasoning, ToolCall))


def test_finish_of_a_dict_stream() -> None:
    end = {**CHAT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert fed(CHAT, end)[1] == [Finish("stop")]

"""Lines without their ends, as `iter_lines()` yields them, read like the body they were."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders import ChunkDecoder, Text, WireEvent
from firsttoken.decoders.lines import LineChunks
from firsttoken.decoders.ndjson import NDJSONFraming
from firsttoken.decoders.sse import SSEFraming
from tests.decoders.corpus import Case, cases
from tests.decoders.facts import facts_of, read_all

LINED = [case for case in cases() if case.facts["framing"] in ("sse", "ndjson")]


def lines_of(case: Case) -> list[str]:
    text = case.body.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


@pytest.mark.parametrize("case", LINED, ids=lambda case: case.facts["file"])
@pytest.mark.parametrize("kind", ["str", "bytes"])
def test_lines_tell_what_the_body_told(case: Case, kind: str) -> None:
    lines: list[Any] = lines_of(case)
    if kind == "bytes":
        lines = [line.encode() for line in lines]
    assert told(lines) == told([case.body])


CHAT = [case for case in LINED if case.facts["framing"] == "sse" and "chat" in case.facts["file"]]


@pytest.mark.parametrize("case", CHAT, ids=lambda case: case.facts["file"])
def test_data_lines_alone_tell_it_too(case: Case) -> None:
    lines = [line for line in lines_of(case) if line.startswith("data:")]
    if case.facts["file"] == "sse-multi-line.sse":
        pytest.skip("data spread over lines needs the blank lines")
    assert told(lines)["content"] == told([case.body])["content"]
    assert told(lines)["first_content_index"] == told([case.body])["first_content_index"]


@pytest.mark.parametrize("case", CHAT, ids=lambda case: case.facts["file"])
def test_payloads_alone_tell_it_too(case: Case) -> None:
    lines = [line.removeprefix("data:").strip() for line in lines_of(case) if line.startswith("data:")]
    if case.facts["file"] == "sse-multi-line.sse":
        pytest.skip("data spread over lines needs the blank lines")
    assert told(lines)["content"] == told([case.body])["content"]


def told(chunks: list[Any]) -> dict[str, Any]:
    decoder = ChunkDecoder()
    return facts_of(read_all(decoder, chunks), decoder.wire_events)


def test_a_first_line_that_is_a_whole_document_is_told_at_once() -> None:
    lines = LineChunks(SSEFraming())
    assert list(lines.feed(b'data: {"a":1}')) == [WireEvent(b'{"a":1}')]
    assert list(lines.feed(b"")) == []
    assert list(lines.feed(b'data: {"b":2}')) == [WireEvent(b'{"b":2}')]


def test_a_body_cut_just_before_a_line_end_is_no_line() -> None:
    lines = LineChunks(SSEFraming())
    assert list(lines.feed(b'data: {"a":1}')) == [WireEvent(b'{"a":1}')]
    assert list(lines.feed(b'\n\ndata: {"b"')) == []
    assert list(lines.feed(b":2}\n\n")) == [WireEvent(b'{"b":2}')]


def test_a_cut_line_that_goes_on_like_a_field_is_no_line() -> None:
    lines = LineChunks(SSEFraming())
    assert list(lines.feed(b'data: {"a":"')) == []
    assert list(lines.feed(b'data: x"}\n\n')) == [WireEvent(b'{"a":"data: x"}')]


def test_text_lines_without_blank_lines_are_an_event_each() -> None:
    lines = LineChunks(SSEFraming())
    told = [event for line in (b"data: a", b"data: b", b"data: c") for event in lines.feed(line)]
    assert [*told, *lines.flush()] == [WireEvent(b"a"), WireEvent(b"b"), WireEvent(b"c")]


def test_text_lines_with_blank_lines_are_joined_as_the_rules_say() -> None:
    lines = LineChunks(SSEFraming())
    told = [event for line in (b"data: a", b"", b"data: b", b"data: c", b"") for event in lines.feed(line)]
    assert told == [WireEvent(b"a"), WireEvent(b"b\nc")]


def test_documents_without_line_ends() -> None:
    lines = LineChunks(NDJSONFraming())
    told = [event for line in (b'{"a":1}', b'{"b":2}', b"[DONE]") for event in lines.feed(line)]
    assert told == [WireEvent(b'{"a":1}'), WireEvent(b'{"b":2}'), WireEvent(b"[DONE]")]


def test_a_single_line_is_told_at_the_end() -> None:
    decoder = ChunkDecoder()
    assert [*decoder.feed("data: Hello"), *decoder.flush()] == [Text("Hello")]

"""The UI message stream of the Vercel AI SDK."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats import vercel
from firsttoken.decoders.formats.vercel import VercelUI, is_vercel_ui
from tests.decoders.formats.hearing import DONE, Heard, hear, hear_both_ways, wire


def part(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def heard(*parts: dict[str, Any]) -> Heard:
    return hear_both_ways(VercelUI, parts)


def test_a_message_from_start_to_finish() -> None:
    told = heard(
        part("start", messageId="msg_1"),
        part("start-step"),
        part("reasoning-start", id="0"),
        part("reasoning-delta", id="0", delta="hm"),
        part("text-start", id="1"),
        part("text-delta", id="1", delta="yes"),
        part("text-end", id="1"),
        part("finish-step"),
        part("finish", finishReason="stop"),
    )
    assert (told.reasoning, told.text, told.id) == ("hm", "yes", "msg_1")
    assert told.finish == {0: "stop"}
    assert (told.usages, told.done) == (0, [])


def test_done_ends_it_and_is_due_on_the_wire_only() -> None:
    reader = VercelUI()
    assert hear(reader, [wire(part("finish")), DONE]).done == ["[DONE]"]
    assert reader.has_done
    reader.read(part("start"))
    assert not reader.has_done


def test_a_call_told_in_pieces_does_not_count_again_when_available() -> None:
    told = heard(
        part("tool-input-start", toolCallId="b", toolName="f"),
        part("tool-input-start", toolCallId="a", toolName="g"),
        part("tool-input-delta", toolCallId="b", inputTextDelta='{"x":'),
        part("tool-input-delta", toolCallId="a", inputTextDelta="{}"),
        part("tool-input-delta", toolCallId="b", inputTextDelta="1}"),
        part("tool-input-available", toolCallId="b", toolName="f", input={"x": 1}),
        part("tool-output-available", toolCallId="b", output={"answer": 42}),
    )
    assert told.calls == {
        (0, 0): {"id": "b", "name": "f", "type": "function", "arguments": '{"x":1}'},
        (0, 1): {"id": "a", "name": "g", "type": "function", "arguments": "{}"},
    }
    assert told.text == ""


@pytest.mark.parametrize("kind", ["tool-input-available", "tool-input-error"])
def test_a_call_that_comes_at_once_counts(kind: str) -> None:
    told = heard(part(kind, toolCallId="a", toolName="f", input={"x": 1}))
    assert told.calls == {(0, 0): {"id": "a", "name": "f", "type": "function", "arguments": {"x": 1}}}


def test_calls_told_apart_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vercel, "MAX_CALLS", 3)
    starts = [part("tool-input-delta", toolCallId=str(number), inputTextDelta="x") for number in range(10)]
    assert sorted(heard(*starts).calls) == [(0, 0), (0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize("key", ["usage", "totalUsage"])
def test_usage_is_known_only_where_the_application_sends_it(key: str) -> None:
    usage = {
        "inputTokens": 7,
        "inputTokenDetails": {"noCacheTokens": 2, "cacheReadTokens": 4, "cacheWriteTokens": 1},
        "outputTokens": 9,
        "outputTokenDetails": {"reasoningTokens": 3},
        "totalTokens": 16,
    }
    told = heard(part("finish", messageMetadata={key: usage, "model": "gpt-x"}))
    assert (told.usage.input, told.usage.output, told.usage.reasoning) == (7, 9, 3)
    assert (told.usage.cache_read, told.usage.cache_creation) == (4, 1)
    assert told.model == "gpt-x"


@pytest.mark.parametrize("metadata", ["custom", 7, [1], {"usage": "much"}, {"model": {"name": "x"}}, None])
def test_metadata_of_any_making_does_no_harm(metadata: Any) -> None:
    told = heard(part("finish", finishReason="stop", messageMetadata=metadata))
    assert (told.finish, told.usages, told.lost) == ({0: "stop"}, 0, 0)


def test_an_error_in_the_middle() -> None:
    told = heard(
        part("text-delta", delta="a"),
        part("error", errorText="broken"),
        part("finish", finishReason="error"),
    )
    assert told.errors == [(None, None, "broken")]
    assert told.finish == {0: "error"}


def test_abort_is_why_it_ended() -> None:
    assert heard(part("abort", reason="user")).finish == {0: "abort"}


def test_data_sources_and_files_are_no_text() -> None:
    told = heard(
        part("data-weather", id="1", data={"text": "x"}),
        part("source-url", sourceId="s", url="https://example.com"),
        part("file", url="data:", mediaType="image/png"),
    )
    assert (told.text, told.lost) == ("", 0)


def test_shape() -> None:
    assert is_vercel_ui(None, part("start"))
    assert is_vercel_ui(None, part("error", errorText="x"))
    assert not is_vercel_ui("message-start", part("message-start"))
    assert not is_vercel_ui(None, part("response.created"))

"""Anthropic text completions, in both versions."""

from __future__ import annotations

from typing import Any

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import KeepAlive
from firsttoken.decoders.formats.anthropic_complete import AnthropicComplete, is_anthropic_complete
from tests.decoders.formats.hearing import DONE, hear, hear_both_ways, wire


def completion(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "completion",
        "id": "compl_1",
        "completion": text,
        "stop_reason": None,
        "model": "claude-2",
        **fields,
    }


def test_named_completions_are_pieces() -> None:
    payloads = [
        completion(" a"),
        completion(" ab"),
        completion("", stop_reason="stop_sequence", stop="\n\nHuman:"),
    ]
    told = hear_both_ways(AnthropicComplete, payloads)
    assert told.text == " a ab"
    assert told.finish == {0: "stop_sequence"}
    assert (told.id, told.model) == ("compl_1", "claude-2")
    assert told.done == []
    assert told.usages == 0


def test_completions_of_the_first_version_repeat_the_text_so_far() -> None:
    texts = [" a", " a b", " a b", " a b c"]
    events = [
        wire({"completion": text, "stop_reason": None, "log_id": "l", "model": "claude-v1"})
        for text in texts
    ]
    told = hear(AnthropicComplete(), [*events, DONE])
    assert told.text == " a b c"
    assert told.id == "l"
    assert told.done == ["[DONE]"]


def test_ping_is_no_token_in_either_form() -> None:
    reader = AnthropicComplete()
    for ping in (
        wire({"type": "ping"}, "ping"),
        WireEvent(b"", "ping", dispatched=False),
        {"type": "ping"},
    ):
        assert list(reader.read(ping)) == [KeepAlive()]


def test_an_error_event() -> None:
    error = {"error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert hear_both_ways(AnthropicComplete, [error]).errors == [("overloaded_error", None, "Overloaded")]


def test_shape() -> None:
    assert is_anthropic_complete("completion", None)
    assert is_anthropic_complete(None, completion("x"))
    assert not is_anthropic_complete(None, {"type": "message_start"})

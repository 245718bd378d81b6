"""OpenAI text completions: text stands in the choice itself."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats.openai_completions import OpenAICompletions, is_openai_completions
from tests.decoders.formats.hearing import DONE, hear, hear_both_ways, wire


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "model": "gpt-x",
        "choices": list(choices),
        **fields,
    }


def choice(text: str, index: int = 0, finish_reason: str | None = None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


def test_choices_are_told_apart_and_the_finish_reason_comes_with_an_empty_text() -> None:
    told = hear_both_ways(
        OpenAICompletions,
        [
            chunk(choice("a")),
            chunk(choice("b", 1)),
            chunk(choice("A"), choice("", 1, "length")),
            chunk(choice("", 0, "stop")),
        ],
    )
    assert told.texts == {0: "aA", 1: "b"}
    assert told.finish == {0: "stop", 1: "length"}
    assert (told.id, told.model) == ("cmpl-1", "gpt-x")
    assert told.usages == 0


def test_the_id_is_the_first_that_is_not_empty() -> None:
    told = hear_both_ways(OpenAICompletions, [{"id": "", "choices": []}, chunk(id="one"), chunk(id="two")])
    assert told.id == "one"


def test_usage_comes_after_the_finish_reason_in_a_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    told = hear_both_ways(OpenAICompletions, [chunk(choice("x", 0, "stop")), chunk(usage=usage)])
    assert (told.usage.input, told.usage.output, told.usage.cache_read, told.usage.reasoning) == (
        5,
        7,
        3,
        2,
    )


def test_the_last_usage_counts_where_every_chunk_has_one() -> None:
    counts = [{"prompt_tokens": 5, "completion_tokens": count} for count in (1, 2, 3)]
    told = hear_both_ways(OpenAICompletions, [chunk(choice("x"), usage=usage) for usage in counts])
    assert (told.usage.input, told.usage.output) == (5, 3)


def test_done_is_due_on_the_wire_only() -> None:
    reader = OpenAICompletions()
    assert hear(reader, [wire(chunk(choice("x"))), DONE]).done == ["[DONE]"]
    assert reader.has_done
    reader.read(chunk(choice("x")))
    assert not reader.has_done


def test_an_error_in_the_stream() -> None:
    told = hear_both_ways(
        OpenAICompletions, [{"error": {"type": "server_error", "code": 500, "message": "broken"}}]
    )
    assert told.errors == [("server_error", "500", "broken")]


def test_shape() -> None:
    assert is_openai_completions(None, chunk())
    assert is_openai_completions(None, {"choices": [choice("x")]})
    assert not is_openai_completions(None, {"choices": [{"index": 0, "delta": {"content": "x"}}]})


def test_sdk_chunks_read_as_the_wire_does() -> None:
    types = pytest.importorskip("openai.types")
    construct_type = pytest.importorskip("openai._models").construct_type
    payloads = [
        chunk(choice("x")),
        chunk(choice("", 0, "stop"), usage={"prompt_tokens": 1, "completion_tokens": 1}),
    ]
    objects = [construct_type(type_=types.Completion, value=payload) for payload in payloads]
    assert vars(hear(OpenAICompletions(), objects)) == vars(hear(OpenAICompletions(), map(wire, payloads)))

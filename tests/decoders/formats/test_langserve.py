"""LangServe: whatever a chain yields, and an end that by the rules of SSE does not happen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders.formats import _langchain
from firsttoken.decoders.formats.langserve import LangServe, is_langserve
from tests.decoders.formats.hearing import Heard, hear, wire

END = WireEvent(b"", "end", dispatched=False)


def message(content: Any = "", **fields: Any) -> dict[str, Any]:
    return {
        "type": "AIMessageChunk",
        "id": "lc_run--1",
        "content": content,
        "additional_kwargs": {},
        "response_metadata": {},
        "tool_call_chunks": [],
        "usage_metadata": None,
        **fields,
    }


def heard(*outputs: Any) -> Heard:
    """Read what a chain yields from the wire and as the client's objects."""
    from_wire = hear(LangServe(), [wire(output, "data") for output in outputs])
    from_objects = hear(LangServe(), outputs)
    assert vars(from_wire) == vars(from_objects)
    return from_wire


def test_a_run_from_metadata_to_end() -> None:
    reader = LangServe()
    told = hear(
        reader,
        [
            wire({"run_id": "run-1"}, "metadata"),
            wire(message("yes"), "data"),
            wire(message(response_metadata={"finish_reason": "stop", "model_name": "gpt-x"}), "data"),
            END,
        ],
    )
    assert (told.text, told.id, told.model) == ("yes", "run-1", "gpt-x")
    assert told.finish == {0: "stop"}
    assert told.done == ["event:end"]
    assert reader.has_done


def test_a_chain_that_ends_in_a_parser_yields_strings() -> None:
    assert heard("a", "", "b\n").text == "ab\n"


@pytest.mark.parametrize(
    "output",
    [{"answer": "yes"}, {"output": "yes"}, {"output": message("yes")}, {"text": "yes"}],
    ids=["answer", "output", "message", "text"],
)
def test_a_chain_may_yield_objects_with_an_answer(output: dict[str, Any]) -> None:
    assert heard({"context": [{"page_content": "a document"}]}, output).text == "yes"


def test_a_log_patch_counts_what_it_adds_to_the_streamed_output() -> None:
    told = heard(
        {"ops": [{"op": "replace", "path": "", "value": {"id": "r", "streamed_output": []}}]},
        {"ops": [{"op": "add", "path": "/logs/model/streamed_output/-", "value": message("yes")}]},
        {"ops": [{"op": "add", "path": "/streamed_output/-", "value": message("yes")}]},
        {"ops": [{"op": "replace", "path": "/final_output", "value": message("yes")}]},
    )
    assert told.text == "yes"


def test_of_events_only_those_of_the_model_count() -> None:
    told = heard(
        {"event": "on_chain_stream", "data": {"chunk": message("yes")}},
        {"event": "on_chat_model_stream", "data": {"chunk": message("yes")}},
        {"event": "on_chat_model_end", "data": {"output": message("yes")}},
    )
    assert told.text == "yes"


def test_blocks_of_every_provider() -> None:
    blocks = [
        {"type": "thinking", "thinking": "a", "index": 0},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}]},
        {"type": "reasoning", "reasoning": "c"},
        {"type": "reasoning_content", "reasoning_content": {"text": "d"}},
        {"type": "refusal", "refusal": "no"},
        {"type": "text", "text": "yes", "index": 1},
        " plain",
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": "{"},
    ]
    told = heard(message(blocks))
    assert (told.reasoning, told.refusal, told.text) == ("abcd", "no", "yes plain")
    assert told.calls == {}


def test_reasoning_may_stand_beside_the_content() -> None:
    assert heard(message("", additional_kwargs={"reasoning_content": "hm"})).reasoning == "hm"


def chunk(index: int | None, args: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_call_chunk", "index": index, "args": args, "id": None, "name": None, **fields}


def test_pieces_of_calls_belong_together_by_index() -> None:
    told = heard(
        message(tool_call_chunks=[chunk(1, "", id="a", name="f"), chunk(2, "", id="b", name="g")]),
        message(tool_call_chunks=[chunk(2, "{}")]),
        message(tool_call_chunks=[chunk(1, "[]")]),
    )
    assert told.calls == {
        (0, 0): {"id": "a", "name": "f", "type": "function", "arguments": "[]"},
        (0, 1): {"id": "b", "name": "g", "type": "function", "arguments": "{}"},
    }


def test_a_call_without_an_index_is_one_of_its_own_and_nameless_pieces_extend_the_last() -> None:
    told = heard(
        message(tool_call_chunks=[chunk(None, "{", id="a", name="f")]),
        message(tool_call_chunks=[chunk(None, "}")]),
        message(tool_call_chunks=[chunk(None, "{}", id="b", name="f")]),
    )
    assert [call["arguments"] for call in told.calls.values()] == ["{}", "{}"]


def test_calls_of_a_second_message_do_not_extend_those_of_the_first() -> None:
    told = heard(
        message(tool_call_chunks=[chunk(0, "{}", id="a", name="f")]),
        message(id="lc_run--2", tool_call_chunks=[chunk(0, "[]", id="b", name="g")]),
    )
    assert [call["arguments"] for call in told.calls.values()] == ["{}", "[]"]


def usage(given: int, made: int) -> dict[str, Any]:
    details = {"cache_read": given}
    return {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": given + made,
        "input_token_details": details,
    }


def test_the_usage_of_a_message_is_the_sum_of_its_chunks() -> None:
    told = heard(message(usage_metadata=usage(7, 0)), message("a"), message(usage_metadata=usage(0, 9)))
    assert (told.usage.input, told.usage.output, told.usage.cache_read) == (7, 9, 7)


def test_the_usage_of_a_second_message_replaces_that_of_the_first() -> None:
    told = heard(message(usage_metadata=usage(7, 9)), message(id="lc_run--2", usage_metadata=usage(20, 1)))
    assert (told.usage.input, told.usage.output) == (20, 1)


@pytest.mark.parametrize("key", ["finish_reason", "stop_reason", "stopReason", "done_reason"])
def test_every_integration_has_its_own_word_for_the_finish_reason(key: str) -> None:
    assert heard(message(response_metadata={key: "end"})).finish == {0: "end"}


def test_messages_of_people_and_tools_are_none_of_the_answer() -> None:
    assert (
        heard({"type": "human", "content": "q"}, {"type": "tool", "content": "r", "tool_call_id": "a"}).text
        == ""
    )


def test_messages_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_langchain, "MAX_MESSAGES", 3)
    reader = LangServe()
    told = hear(reader, [message("x", id=str(number)) for number in range(10)])
    assert told.text == "x" * 10
    assert len(reader._messages._messages) == 3


def test_an_error_event() -> None:
    failure = WireEvent(
        json.dumps({"status_code": 500, "message": "Internal Server Error"}).encode(), "error"
    )
    assert hear(LangServe(), [failure]).errors == [(None, "500", "Internal Server Error")]
    assert hear(LangServe(), [WireEvent(b"broken", "error")]).errors == [(None, None, "broken")]


def test_a_broken_output_is_lost_and_counted() -> None:
    assert hear(LangServe(), [WireEvent(b'"cut', "data"), WireEvent(b'{"cut', "data")]).lost == 2


def test_shape() -> None:
    assert is_langserve("data", "text")
    assert is_langserve(None, message())
    assert is_langserve(None, {"event": "on_chat_model_stream"})
    assert not is_langserve("metadata", {"run_id": "r"})
    assert not is_langserve(None, {"type": "message_start"})


def test_message_objects_read_as_the_wire_does() -> None:
    chunk_type = pytest.importorskip("langchain_core.messages").AIMessageChunk
    payloads = [
        message([{"type": "text", "text": "yes", "index": 0}]),
        message(tool_call_chunks=[chunk(0, "{}", id="a", name="f")]),
        message(
            usage_metadata=usage(7, 9), response_metadata={"finish_reason": "stop", "model_name": "gpt-x"}
        ),
    ]
    objects = [
        chunk_type(**{key: value for key, value in payload.items() if value is not None})
        for payload in payloads
    ]
    reader = LangServe()
    assert vars(hear(reader, objects)) == vars(
        hear(LangServe(), [wire(payload, "data") for payload in payloads])
    )
    assert not reader.has_done

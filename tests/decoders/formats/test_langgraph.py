"""LangGraph: stream modes, of which only the messages hold what the model says."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders.formats.langgraph import LangGraph, is_langgraph
from tests.decoders.formats.hearing import Heard, hear, wire

ABOUT = {"langgraph_node": "model", "run_id": "run-1", "type": 7, "content": {}, "id": []}


def message(content: Any = "", kind: str = "AIMessageChunk", **fields: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "id": "m1",
        "content": content,
        "response_metadata": {},
        "tool_calls": [],
        **fields,
    }


def heard(*events: tuple[str, Any]) -> Heard:
    return hear(LangGraph(), [wire(data, mode) for mode, data in events])


def test_the_state_repeats_the_messages_which_do_not_count_again() -> None:
    told = heard(
        ("metadata", {"run_id": "run-1", "attempt": 1}),
        ("values", {"messages": [message("hi", "human")]}),
        ("messages", [message("ye"), ABOUT]),
        ("messages", [message("s"), ABOUT]),
        ("messages", [message(response_metadata={"finish_reason": "stop", "model_name": "gpt-x"}), ABOUT]),
        ("values", {"messages": [message("hi", "human"), message("yes", "ai")]}),
        ("updates", {"model": {"messages": [message("yes", "ai")]}}),
    )
    assert (told.text, told.id, told.model) == ("yes", "run-1", "gpt-x")
    assert told.finish == {0: "stop"}
    assert (told.done, told.lost) == ([], 0)


def test_partial_messages_hold_the_text_so_far() -> None:
    usage = {"input_tokens": 7, "output_tokens": 9, "total_tokens": 16}
    done = {"finish_reason": "stop"}
    told = heard(
        ("messages/metadata", {"m1": {"metadata": {}}}),
        ("messages/partial", [message("", "ai")]),
        ("messages/partial", [message("ye", "ai")]),
        ("messages/partial", [message("yes", "ai")]),
        ("messages/partial", [message("yes", "ai", response_metadata=done)]),
        ("messages/partial", [message("yes", "ai", response_metadata=done, usage_metadata=usage)]),
        ("messages/complete", [message("yes", "ai", response_metadata=done, usage_metadata=usage)]),
    )
    assert told.text == "yes"
    assert (told.usage.input, told.usage.output, told.usages) == (7, 9, 1)


def test_partial_messages_of_blocks_grow_block_by_block() -> None:
    thinking = {"type": "thinking", "thinking": "hm"}
    told = heard(
        ("messages/partial", [message([thinking], "ai")]),
        ("messages/partial", [message([thinking, {"type": "text", "text": "y"}], "ai")]),
        ("messages/partial", [message([thinking, {"type": "text", "text": "yes"}], "ai")]),
    )
    assert (told.reasoning, told.text) == ("hm", "yes")


def test_calls_of_partial_messages_grow_and_are_told_when_they_change() -> None:
    def calls(*args: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": "f", "args": arguments, "id": f"c{index}"} for index, arguments in enumerate(args)]

    events = [
        ("messages/partial", [message("", "ai", tool_calls=calls(*args))])
        for args in ([{}], [{"x": 1}], [{"x": 1}], [{"x": 1}, {}])
    ]
    reader = LangGraph()
    told = [len(reader.read(wire(data, mode))) for mode, data in events]
    assert told == [2, 1, 0, 1]  # the first tells the message's id, too
    assert heard(*events).calls == {
        (0, 0): {"id": "c0", "name": "f", "type": "function", "arguments": {"x": 1}},
        (0, 1): {"id": "c1", "name": "f", "type": "function", "arguments": {}},
    }


def test_a_message_that_comes_at_once_counts_with_its_calls() -> None:
    told = heard(
        ("messages", [message("yes", "ai", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}]), ABOUT])
    )
    assert told.text == "yes"
    assert told.calls == {(0, 0): {"id": "c", "name": "f", "type": "function", "arguments": {"x": 1}}}


def test_pieces_that_a_server_calls_messages_are_pieces() -> None:
    assert (
        heard(("messages", [message("ye", "ai"), ABOUT]), ("messages", [message("s", "ai"), ABOUT])).text
        == "yes"
    )


def test_messages_of_people_and_tools_are_none_of_the_answer() -> None:
    told = heard(("messages", [message("q", "human"), ABOUT]), ("messages", [message("r", "tool"), ABOUT]))
    assert (told.text, told.lost) == ("", 0)


def test_subgraphs_stand_behind_a_bar() -> None:
    assert heard(("messages|tools:1", [message("yes"), ABOUT])).text == "yes"


def test_events_of_the_model_count() -> None:
    event = {"event": "on_chat_model_stream", "data": {"chunk": message("yes")}}
    assert heard(("events", event)).text == "yes"
    assert hear(LangGraph(), [event]).text == "yes"


def test_errors_and_the_end_of_older_servers() -> None:
    told = hear(
        LangGraph(),
        [
            wire({"error": "ValueError", "message": "broken"}, "error"),
            WireEvent(b"gone", "error"),
            WireEvent(b"", "end", dispatched=False),
        ],
    )
    assert told.errors == [("ValueError", None, "broken"), (None, None, "gone")]
    assert told.done == ["event:end"]


@pytest.mark.parametrize("data", [b"[", b"7", b'"x"', b"[7]"])
def test_a_broken_message_is_lost_and_counted(data: bytes) -> None:
    assert hear(LangGraph(), [WireEvent(data, "messages")]).lost == 1


def test_an_empty_list_says_nothing() -> None:
    assert not LangGraph().read(WireEvent(b"[]", "messages/partial"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda item: item,
        lambda item: ("messages", item),
        lambda item: (("sub:1",), item),
        lambda item: (("sub:1",), "messages", item),
        lambda item: {"type": "messages", "ns": (), "data": item},
        lambda item: namedtuple("StreamPart", "event data")("messages|sub:1", list(item)),
    ],
    ids=["message", "mode", "namespace", "namespace and mode", "part", "client"],
)
def test_what_a_graph_or_its_client_yields(wrap: Any) -> None:
    item = wrap((message("yes"), {"langgraph_node": "model"}))
    assert hear(LangGraph(), [item]).text == "yes"
    assert isinstance(item, dict) or is_langgraph(None, item)


def test_state_that_a_graph_yields_says_nothing() -> None:
    told = hear(
        LangGraph(),
        [("values", {"messages": [message("yes", "ai")]}), (("ns",), "custom", {"content": "x"})],
    )
    assert (told.text, told.lost) == ("", 0)


def test_shape() -> None:
    assert is_langgraph("messages/partial", [message()])
    assert is_langgraph("messages|sub:1", [message()])
    assert is_langgraph("values", {"messages": []})
    assert is_langgraph("metadata", {"run_id": "r", "attempt": 1})
    assert not is_langgraph("metadata", {"run_id": "r"})
    assert not is_langgraph("values", {"x": 1})
    assert not is_langgraph(None, ("token", "x"))
    assert not is_langgraph(None, message())


def test_message_objects_read_as_the_wire_does() -> None:
    chunk_type = pytest.importorskip("langchain_core.messages").AIMessageChunk
    payload = {"id": "m1", "content": "yes", "response_metadata": {"finish_reason": "stop"}}
    told = hear(LangGraph(), [(chunk_type(**payload), {"langgraph_node": "model"})])
    assert vars(told) == vars(heard(("messages", [{"type": "AIMessageChunk", **payload}, ABOUT])))

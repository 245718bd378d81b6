"""text-generation-inference: tokens, special ones, and the last that repeats everything."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.decoders.formats.tgi import TGI, is_tgi
from tests.decoders.formats.hearing import hear, hear_both_ways, wire


def token(text: str, special: bool = False, **fields: Any) -> dict[str, Any]:
    inner = {"id": 1, "text": text, "logprob": -0.1, "special": special}
    return {"index": 1, "token": inner, "generated_text": None, "details": None, **fields}


def test_the_generated_text_of_the_last_token_does_not_count_again() -> None:
    told = hear_both_ways(TGI, [token("a"), token("b", generated_text="the prompt: ab")])
    assert told.text == "ab"
    assert told.done == ["generated_text!=null"]
    assert told.finish == {}
    assert told.usages == 0


def test_an_empty_generated_text_is_an_end_too() -> None:
    assert hear_both_ways(TGI, [token("</s>", special=True, generated_text="")]).done == [
        "generated_text!=null"
    ]


def test_special_tokens_are_none_of_the_answer() -> None:
    assert hear_both_ways(TGI, [token("a"), token("</s>", special=True)]).text == "a"


def test_details_tell_reason_and_counts() -> None:
    details = {"finish_reason": "eos_token", "generated_tokens": 9, "input_length": 4, "seed": None}
    told = hear_both_ways(TGI, [token("</s>", special=True, generated_text="x", details=details)])
    assert told.finish == {0: "eos_token"}
    assert (told.usage.input, told.usage.output) == (4, 9)


def test_older_servers_do_not_count_the_prompt() -> None:
    details = {"finish_reason": "length", "generated_tokens": 9, "seed": 1}
    told = hear_both_ways(TGI, [token("a", generated_text="a", details=details)])
    assert (told.usage.input, told.usage.output) == (None, 9)


def test_an_error_may_be_all_there_is() -> None:
    told = hear_both_ways(TGI, [{"error": "input too long", "error_type": "validation"}])
    assert told.errors == [("validation", None, "input too long")]
    assert told.done == []


def test_shape() -> None:
    assert is_tgi(None, token(""))
    assert is_tgi(None, {"error": "x", "error_type": "overloaded"})
    assert not is_tgi(None, {"token": "x"})


def test_objects_of_the_sdk_read_as_the_wire_does() -> None:
    output = pytest.importorskip("huggingface_hub").TextGenerationStreamOutput
    payloads = [
        token("a"),
        token("b", generated_text="ab", details={"finish_reason": "length", "generated_tokens": 2}),
    ]
    objects = [output.parse_obj_as_instance(payload) for payload in payloads]
    assert vars(hear(TGI(), objects)) == vars(hear(TGI(), map(wire, payloads)))

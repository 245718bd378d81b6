"""Request facts: what is told of a request, whoever's form it has, and nothing from what is no request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._http.facts import MAX_BODY_BYTES, facts_of

CHAT = "/v1/chat/completions"


def facts(body: Any, path: str = CHAT) -> dict[str, Any]:
    told = facts_of(path, json.dumps(body).encode())
    return {key.removeprefix("gen_ai.request."): value for key, value in told.items()}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            CHAT,
            {
                "model": "m",
                "stream": True,
                "temperature": 0,
                "max_completion_tokens": 9,
                "stop": "E",
                "n": 3,
            },
            {
                "model": "m",
                "stream": True,
                "temperature": 0.0,
                "max_tokens": 9,
                "stop_sequences": ("E",),
                "choice.count": 3,
            },
        ),
        ("/v1/responses", {"model": "m", "max_output_tokens": 5}, {"model": "m", "max_tokens": 5}),
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 5, "top_k": 3, "stop_sequences": ["a", "b"]},
            {"model": "m", "max_tokens": 5, "top_k": 3.0, "stop_sequences": ("a", "b")},
        ),
        (
            "/v1beta/models/gemini-x:streamGenerateContent",
            {
                "generationConfig": {
                    "temperature": 0.5,
                    "maxOutputTokens": 7,
                    "topP": 0.1,
                    "candidateCount": 2,
                }
            },
            {
                "model": "gemini-x",
                "stream": True,
                "temperature": 0.5,
                "max_tokens": 7,
                "top_p": 0.1,
                "choice.count": 2,
            },
        ),
        (
            "/model/amazon.nova/converse-stream",
            {"inferenceConfig": {"maxTokens": 7, "stopSequences": ["x"]}},
            {"model": "amazon.nova", "stream": True, "max_tokens": 7, "stop_sequences": ("x",)},
        ),
        (
            "/api/chat",
            {"model": "m", "options": {"seed": 1, "num_predict": 2}},
            {"model": "m", "seed": 1, "max_tokens": 2},
        ),
        (
            "/v2/chat",
            {"model": "m", "p": 0.5, "k": 4, "stream": False},
            {"model": "m", "top_p": 0.5, "top_k": 4.0, "stream": False},
        ),
    ],
)
def test_facts_are_read_in_every_providers_form(path: str, body: Any, expected: dict[str, Any]) -> None:
    assert facts(body, path) == expected


def test_one_choice_is_not_told() -> None:
    assert "choice.count" not in facts({"n": 1})


def test_values_of_wrong_types_are_left_out() -> None:
    wrong = {
        "model": 7,
        "temperature": "hot",
        "max_tokens": 1.5,
        "seed": True,
        "stop": [1],
        "n": "2",
        "stream": "yes",
        "top_p": None,
        "top_k": [],
        "frequency_penalty": {},
    }
    assert facts(wrong) == {}
    assert facts({"seed": 1 << 70, "max_tokens": 5}) == {"max_tokens": 5}


@pytest.mark.parametrize(
    "body", [None, b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000, b'{"model": "m"} x']
)
def test_what_is_no_request_tells_nothing(body: bytes | None) -> None:
    assert facts_of(CHAT, body) == {}


def test_a_body_beyond_the_bound_is_not_looked_into() -> None:
    body = json.dumps({"model": "m", "messages": ["x" * MAX_BODY_BYTES]}).encode()
    assert facts_of(CHAT, body) == {}
    assert facts_of("/v1beta/models/g:generateContent", body) == {"gen_ai.request.model": "g"}


def test_long_texts_are_cut() -> None:
    told = facts({"model": "m" * 1000, "stop": ["s" * 1000] * 100})
    assert len(told["model"]) == 256
    assert len(told["stop_sequences"]) == 16


WORDS = st.sampled_from(["", "m", "temperature", "é" * 300])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["model", "stream", "temperature", "max_tokens", "stop", "n", "options", "generationConfig", "messages"]
)


@given(st.dictionaries(KEYS, JSON))
def test_no_request_makes_it_raise_or_tell_what_no_attribute_can_hold(body: dict[str, Any]) -> None:
    for value in facts_of(CHAT, json.dumps(body).encode()).values():
        assert isinstance(value, str | bool | int | float | tuple)


@given(st.binary())
def test_no_bytes_make_it_raise(body: bytes) -> None:
    facts_of(CHAT, body)

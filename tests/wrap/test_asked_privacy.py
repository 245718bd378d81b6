"""Of an SDK's call only numbers, names and stop sequences are read, whatever its arguments are and do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import firsttoken
from firsttoken._guard import fault_counts
from firsttoken._wrap.asked import asked_of
from firsttoken._wrap.others import is_told

SECRET = "S3CRET"
#: All that may be told of a call, and what of it is text.
NUMBERS = {"temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty"}
TOLD = {"model", "stream", "choice.count", "stop_sequences"} | NUMBERS

#: Every argument that OpenAI's and Anthropic's `create` have, and some of others.
HOLDING_CONTENT = (
    "messages",
    "prompt",
    "input",
    "instructions",
    "system",
    "contents",
    "content",
    "metadata",
    "user",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "extra_headers",
    "extra_query",
    "headers",
    "api_key",
    "authorization",
    "timeout",
    "suffix",
    "prediction",
    "audio",
    "modalities",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "documents",
    "preamble",
    "chat_history",
)
_DEFINITION = f"""
async def create(self, *, model=None, temperature=None, stop=None, n=None, config=None, options=None,
                 request=None, extra_body=None, {", ".join(f"{name}=None" for name in HOLDING_CONTENT)}):
    pass
async def words(self, *, model=None, messages=None):
    yield "a"
"""
SDK: dict[str, Any] = {"__name__": "openai.resources.chat"}
exec(_DEFINITION, SDK)


class Client:
    base_url = f"https://user:{SECRET}@models.example:8443/{SECRET}?key={SECRET}"
    api_key = SECRET


class _Raises:
    """Raises whatever is done with it."""

    def _raise(self, *_: Any) -> Any:
        raise RuntimeError(SECRET)

    __eq__ = __ne__ = __bool__ = __str__ = __repr__ = __len__ = __iter__ = __getitem__ = _raise
    __float__ = __int__ = __index__ = __contains__ = __getattr__ = _raise
    __hash__ = None  # type: ignore[assignment]


class _Text(str):
    """Text that raises once it is looked at."""

    __eq__ = __bool__ = __len__ = __getitem__ = __str__ = _Raises._raise  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class _Number(float):
    __float__ = __eq__ = __bool__ = _Raises._raise  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def asked(**arguments: Any) -> dict[str, Any]:
    call = SDK["create"](Client(), **arguments)
    try:
        assert not is_told(call)
        return asked_of(call)
    finally:
        call.close()


def test_nothing_but_what_is_named_is_told_of_a_call() -> None:
    said: dict[str, Any] = {"role": "user", "content": SECRET, "text": SECRET}
    held = {name: [said, SECRET] for name in HOLDING_CONTENT}
    nested = {**held, "temperature": 0.25, "seed": 7, "top_p": SECRET, "stream": SECRET, "n": [said]}
    facts = asked(**held, model="m", config=nested, options=SimpleNamespace(**nested), extra_body=nested)
    assert SECRET not in repr(facts)
    names = {key.removeprefix("gen_ai.request.") for key in facts if key.startswith("gen_ai.request.")}
    assert names == {"model", "temperature", "seed"}
    assert set(facts) - {f"gen_ai.request.{name}" for name in TOLD} == {"server.address", "server.port"}
    assert (facts["server.address"], facts["server.port"]) == ("models.example", 8443)


@pytest.mark.parametrize(
    "name", [*HOLDING_CONTENT, "model", "temperature", "stop", "n", "config", "extra_body"]
)
@pytest.mark.parametrize("hostile", [_Raises, lambda: _Text(SECRET), lambda: _Number(1)])
def test_no_argument_can_raise_into_the_call(name: str, hostile: Callable[[], Any]) -> None:
    facts = asked(**{name: hostile(), "messages": SECRET})
    assert SECRET not in repr(facts)
    if name in HOLDING_CONTENT:
        assert facts["server.address"] == "models.example"


@pytest.mark.parametrize("name", ["response", "_raw_stream", "cr_frame", "ag_frame", "_client"])
def test_no_attribute_of_a_source_can_raise_into_it(name: str) -> None:
    class Broken:
        def __iter__(self) -> Iterator[str]:
            return iter("ab")

        def __getattr__(self, asked_for: str) -> Any:
            if asked_for == name:
                raise RuntimeError(SECRET)
            raise AttributeError(asked_for)

    faults = fault_counts()
    assert list(firsttoken.trace_stream(Broken())) == ["a", "b"]
    assert fault_counts() == faults


def test_a_response_of_another_http_client_is_no_fault() -> None:
    class Events(list[str]):
        response = SimpleNamespace(request=SimpleNamespace(url="https://models.example/v1", content=b"{}"))

    faults = fault_counts()
    assert asked_of(Events()) == {}
    assert fault_counts() == faults


def test_a_frame_without_the_name_of_a_module_is_nobodys() -> None:
    scope: dict[str, Any] = {"__name__": None}
    exec("def words():\n yield 'a'", scope)
    faults = fault_counts()
    assert asked_of(scope["words"]()) == {}
    assert list(firsttoken.trace_stream(scope["words"]())) == ["a"]
    assert fault_counts() == faults


class Held:
    """Something large."""


def test_what_a_generator_lets_go_is_free_although_its_frame_was_there_to_be_read() -> None:
    def words(held: Held) -> Iterator[bool]:
        known = weakref.ref(held)
        del held
        gc.collect()
        yield known() is None

    is_free = list(firsttoken.trace_stream(words(Held())))
    assert is_free == [True]


def test_nothing_of_a_call_is_kept_once_it_is_over() -> None:
    held = Held()
    known = weakref.ref(held)
    call = SDK["create"](Client(), model="m", messages=held)
    assert asked_of(call)["gen_ai.request.model"] == "m"
    del held
    call.close()
    del call
    # Without the collector: whatever keeps it is no cycle that would go by itself.
    assert known() is None

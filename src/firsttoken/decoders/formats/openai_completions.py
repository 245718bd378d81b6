"""OpenAI text completions, the legacy form. Floor 2 (think); thinker thread.

Hosts: api.openai.com, *.openai.azure.com, and vLLM, llama.cpp, Together, LiteLLM and others
(`/completions`). `text/event-stream` of unnamed events; shape: `object` is `text_completion`, or
`choices[].text` without a `delta`. Ends with `data: [DONE]`, which the SDKs swallow; the finish reason
often comes in a choice whose text is empty.

Source: https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, Text, Usage
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get


class _Choice(Struct, gc=False):
    index: int = 0
    text: str | None = None
    finish_reason: str | None = None


class _Details(Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Completion(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_WINDOW: Final = Window(_Completion)
_DONE: Final = (Done("[DONE]"),)


def is_openai_completions(name: Any, body: Any) -> bool:
    """Tell whether a payload is a chunk of a text completion."""
    choices = get(body, "choices")
    if get(body, "object") == "text_completion":
        return True
    choice = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(get(choice, "text"), str) and get(choice, "delta") is None


class OpenAICompletions:
    """Reads chunks whose choices hold `text`."""

    name = "openai.completions"
    provider: str | None = "openai"
    has_finish = True
    verbatim = True

    def __init__(self) -> None:
        self.has_done = True
        self._identified = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one chunk.

        Cost: tests/bench/bench_decoders.py, row "sse + openai.completions".
        """
        if type(payload) is not WireEvent:
            self.has_done = False  # `[DONE]` is of the wire; SDKs keep it to themselves
        elif not payload.data:
            return ()
        elif payload.data.strip() == DONE_SENTINEL:
            return _DONE
        chunk = _WINDOW.read(payload)
        if chunk is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if not self._identified and (chunk.id or chunk.model):
            self._identified = bool(chunk.id and chunk.model)
            deltas.append(Identity(chunk.id, chunk.model))
        for choice in chunk.choices or ():
            if choice.text:
                deltas.append(Text(choice.text, choice.index))
            if choice.finish_reason:
                deltas.append(Finish(choice.finish_reason, choice.index))
        if chunk.usage is not None:
            deltas.append(_usage_of(chunk.usage))
        if chunk.error is not None:
            deltas.append(error_of(chunk.error))
        return deltas


def _usage_of(usage: _Usage) -> Usage:
    given = usage.prompt_tokens_details or _Details()
    made = usage.completion_tokens_details or _Details()
    return Usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cache_read=given.cached_tokens,
        reasoning=made.reasoning_tokens,
    )

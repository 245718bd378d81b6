"""Hugging Face text-generation-inference, its own stream. Floor 2 (think); thinker thread.

Hosts: router.huggingface.co, *.endpoints.huggingface.cloud, SageMaker containers (`/generate_stream`).
`text/event-stream` of unnamed events; shape: `token` with `text`, beside `generated_text`. The last event
is the one whose `generated_text` is not null: it repeats the whole text, the prompt too if that was asked
for, and has `details` (finish reason, counts) only on request. (`/v1/chat/completions` speaks the dialect
of OpenAI chat.)

A special token (`</s>`) is a token of the model but none of the answer.

Source: https://huggingface.co/docs/text-generation-inference/reference/api_reference
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Text, Usage
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get


class _Token(Struct, gc=False):
    text: str | None = None
    special: bool | None = None


class _Details(Struct, gc=False):
    finish_reason: str | None = None
    generated_tokens: int | None = None
    input_length: int | None = None


class _Event(Struct, gc=False):
    token: _Token | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: Any = None
    error_type: str | None = None


_WINDOW: Final = Window(_Event)
_DONE: Final = Done("generated_text!=null")


def is_tgi(name: Any, body: Any) -> bool:
    """Tell whether a payload is a token of text-generation-inference, or its error."""
    if isinstance(get(body, "error_type"), str):
        return isinstance(get(body, "error"), str)
    return get(get(body, "token"), "text") is not None


class TGI:
    """Reads the tokens of `generate_stream`."""

    name = "tgi"
    provider: str | None = "huggingface"
    has_done = True
    has_finish = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one token.

        Cost: tests/bench/bench_decoders.py, row "sse + tgi".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        deltas: list[Delta] = []
        token = event.token
        if token is not None and token.text and not token.special:
            deltas.append(Text(token.text))
        details = event.details
        if details is not None:
            if details.finish_reason:
                deltas.append(Finish(details.finish_reason))
            deltas.append(Usage(input=details.input_length, output=details.generated_tokens))
        if event.error is not None:
            deltas.append(error_of(event.error, default_type=event.error_type))
        if event.generated_text is not None:
            deltas.append(_DONE)
        return deltas

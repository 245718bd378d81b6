"""IBM watsonx.ai text generation. Floor 2 (think); thinker thread.

Hosts: *.ml.cloud.ibm.com, *.aws.wxai.ibm.com (`/ml/v1/text/generation_stream`). `text/event-stream`,
events named `message`; shape: `results[].generated_text`. Every event but the last says stop reason
`not_finished`; there is no done event. (`/ml/v1/text/chat_stream` speaks the dialect of OpenAI chat.)

Token counts are running totals, and the count of the prompt comes in one event only, 0 in all others: the
largest of each counts.

Source: https://cloud.ibm.com/apidocs/watsonx-ai#text-generation-stream
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Finish, Identity, Text, Usage
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get


class _Result(Struct, gc=False):
    generated_text: str | None = None
    generated_token_count: int | None = None
    input_token_count: int | None = None
    stop_reason: str | None = None


class _Event(Struct, gc=False):
    model_id: str | None = None
    id: str | None = None
    results: list[_Result] | None = None
    errors: list[Any] | None = None
    error: Any = None


_WINDOW: Final = Window(_Event)


def is_watsonx(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of watsonx text generation."""
    results = get(body, "results")
    first = results[0] if isinstance(results, list) and results else None
    return get(first, "generated_text") is not None


class Watsonx:
    """Reads the events of watsonx text generation."""

    name = "watsonx"
    provider: str | None = "ibm.watsonx.ai"
    has_done = False
    has_finish = True

    def __init__(self) -> None:
        self._identified = False
        self._input: int | None = None
        self._output: int | None = None

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + watsonx".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if not self._identified and (event.id or event.model_id):
            self._identified = True
            deltas.append(Identity(event.id, event.model_id))
        for choice, result in enumerate(event.results or ()):
            if result.generated_text:
                deltas.append(Text(result.generated_text, choice))
            if result.input_token_count is not None or result.generated_token_count is not None:
                deltas.append(self._count(result))
            if result.stop_reason and result.stop_reason.lower() != "not_finished":
                deltas.append(Finish(result.stop_reason, choice))
        if event.error is not None:
            deltas.append(error_of(event.error))
        deltas += map(error_of, event.errors or ())
        return deltas

    def _count(self, result: _Result) -> Usage:
        self._input = _larger(self._input, result.input_token_count)
        self._output = _larger(self._output, result.generated_token_count)
        return Usage(input=self._input, output=self._output)


def _larger(known: int | None, seen: int | None) -> int | None:
    if known is None or seen is None:
        return seen if known is None else known
    return max(known, seen)

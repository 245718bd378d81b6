"""Streams whose call is told elsewhere: their span has the times, and nothing of the call. Floor 4 (wrap).

Two spans that both count the tokens of one call make a bill of twice the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from firsttoken import semconv
from firsttoken._tell.emit import Finished
from firsttoken._wrap.request import Request

#: The work such a span stands for. No inference operation: whoever made the call tells that.
OPERATION: Final = "stream"

_OF_THE_CALL: Final = ("gen_ai.", "server.")


class AsideRequest(Request):
    """A stream of which nothing is to be told in the words of the GenAI conventions."""

    @property
    def is_of_a_call(self) -> bool:
        """Whether what streams is the answer to a call to a model, whoever tells that."""
        return True

    @property
    def start_attributes(self) -> dict[str, Any]:
        """What is known before the first chunk."""
        return dict(self.attributes or {})

    def learnable(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is not of the call."""
        return {key: value for key, value in attributes.items() if not key.startswith(_OF_THE_CALL)}

    def told(self, finished: Finished, *, packed: bool) -> Finished:
        """Return the stream without the facts of its call."""
        told = super().told(finished, packed=packed)
        summary = replace(
            told.summary,
            provider=None,
            response_model=None,
            response_id=None,
            input_tokens=None,
            output_tokens=None,
            cache_read_tokens=None,
            cache_creation_tokens=None,
            reasoning_tokens=None,
            time_per_output_token_ns=None,
        )
        return replace(told, summary=summary)


def aside(request: Request, asked: Mapping[str, Any]) -> AsideRequest:
    """Return `request` for a call that somebody else tells.

    asked: what the call shows of itself, as `gen_ai.request.*` attributes.
    """
    model = request.model or asked.get(semconv.REQUEST_MODEL)
    named = request.name or " ".join(filter(None, (OPERATION, model)))
    known = {field.name: getattr(request, field.name) for field in fields(request)}
    return AsideRequest(**{**known, "operation": OPERATION, "name": named})

"""Google Gemini, `streamGenerateContent`. Floor 2 (think); thinker thread.

Hosts: generativelanguage.googleapis.com, *aiplatform.googleapis.com (Vertex AI). With `alt=sse` a
`text/event-stream` of unnamed events, else one JSON array sent piecemeal as `application/json`; the
payloads are the same. Shape: `candidates[].content.parts[]`, or `usageMetadata`, or `promptFeedback`.
There is no done event; the finish reason stands in the last chunk, in older models in every chunk. The
SDK yields the same with snake case names.

A part of `thought: true` is reasoning. Usage is a running total in every chunk; `candidatesTokenCount` is
without thoughts. Vertex AI can send the arguments of one call in pieces, each addressed by a JSON path.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Finish, Identity, Reasoning, Text, ToolCall, Usage
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get


class _PartialArg(Struct, gc=False, rename="camel"):
    json_path: str = ""
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None


class _FunctionCall(Struct, gc=False, rename="camel"):
    id: str | None = None
    name: str | None = None
    args: Any = None
    partial_args: list[_PartialArg] | None = None
    will_continue: bool | None = None


class _Part(Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None


class _Content(Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(Struct, gc=False, rename="camel"):
    index: int | None = None
    content: _Content | None = None
    finish_reason: str | None = None


class _Usage(Struct, gc=False, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Feedback(Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Chunk(Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_WINDOW: Final = Window(_Chunk)
_NO_USAGE: Final = Usage()
MAX_ARGUMENTS: Final = 1024 * 1024
"""Characters of one call's arguments put together from pieces; what comes beyond is left out."""

_MAX_PATH: Final = 1024
_UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"


def is_google_gemini(name: Any, body: Any) -> bool:
    """Tell whether a payload is a chunk of `streamGenerateContent`."""
    if any(get(body, key) is not None for key in ("usageMetadata", "promptFeedback", "modelVersion")):
        return True
    candidates = get(body, "candidates")
    first = candidates[0] if isinstance(candidates, (list, tuple)) and candidates else None
    return get(first, "content") is not None or get(first, "finishReason") is not None


class GoogleGemini:
    """Reads the chunks of `streamGenerateContent`, of the Gemini API and of Vertex AI."""

    name = "google.gemini"
    provider: str | None = "gcp.gemini"
    has_done = False
    has_finish = True

    def __init__(self) -> None:
        self._identified = False
        self._calls: dict[int, int] = {}  # by choice: calls so far
        self._open: dict[int, _OpenCall] = {}  # by choice: the call whose arguments still come

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one chunk.

        Cost: tests/bench/bench_decoders.py, row "sse + google.gemini".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        chunk = _WINDOW.read(payload)
        if chunk is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if not self._identified and (chunk.response_id or chunk.model_version):
            self._identified = bool(chunk.response_id and chunk.model_version)
            deltas.append(Identity(chunk.response_id, chunk.model_version))
        for candidate in chunk.candidates or ():
            self._read_candidate(candidate, deltas)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not chunk.candidates:
            deltas.append(Finish(_plain(feedback.block_reason)))
        if chunk.usage_metadata is not None:
            usage = _usage_of(chunk.usage_metadata)
            if usage != _NO_USAGE:
                deltas.append(usage)
        if chunk.error is not None:
            deltas.append(error_of(chunk.error))
        return deltas

    def _read_candidate(self, candidate: _Candidate, deltas: list[Delta]) -> None:
        choice = candidate.index or 0
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if part.text:
                    deltas.append(Reasoning(part.text, choice) if part.thought else Text(part.text, choice))
                if part.function_call is not None:
                    deltas.append(self._read_call(part.function_call, choice))
        reason = candidate.finish_reason
        if reason and reason != _UNSPECIFIED:
            deltas.append(Finish(_plain(reason), choice))

    def _read_call(self, call: _FunctionCall, choice: int) -> ToolCall:
        under_way = self._open.get(choice)
        if under_way is not None and not call.name:
            under_way.take(call.partial_args)
            if call.will_continue:
                return ToolCall(under_way.index, choice)
            del self._open[choice]
            return ToolCall(under_way.index, choice, arguments_object=under_way.arguments)
        index = self._calls.get(choice, 0)
        self._calls[choice] = index + 1
        arguments = call.args
        if call.will_continue:
            self._open[choice] = started = _OpenCall(index)
            started.take(call.partial_args)
        elif call.partial_args:
            whole = _OpenCall(index)
            whole.take(call.partial_args)
            arguments = whole.arguments
        return ToolCall(index, choice, call.id, call.name, "function", arguments_object=arguments)


class _OpenCall:
    """The arguments of one call, put together from pieces addressed by JSON path."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.arguments: dict[str, Any] = {}
        self._size = 0

    def take(self, pieces: list[_PartialArg] | None) -> None:
        for piece in pieces or ():
            self._size += len(piece.json_path) + len(piece.string_value or "")
            if self._size > MAX_ARGUMENTS:
                return
            steps = _steps_of(piece.json_path)
            if steps and isinstance(steps[0], str):
                _put(self.arguments, steps, piece)


_STEP: Final = re.compile(
    r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,6})\]|\[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]"""
)


def _steps_of(path: str) -> list[str | int]:
    return [
        int(step["index"]) if step["index"] is not None else step["name"] or step["key"] or ""
        for step in _STEP.finditer(path[:_MAX_PATH])
    ]


def _put(node: Any, steps: list[str | int], piece: _PartialArg) -> None:
    """Put a piece where its path says; a string is added to the one that is there."""
    for step, following in pairwise(steps):
        below = _child(node, step)
        if not isinstance(below, (dict, list)):
            below = {} if isinstance(following, str) else []
            if not _set_child(node, step, below):
                return
        node = below
    value: Any = piece.string_value
    if value is not None:
        known = _child(node, steps[-1])
        value = known + value if isinstance(known, str) else value
    else:
        value = piece.number_value if piece.number_value is not None else piece.bool_value
    _set_child(node, steps[-1], value)


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    return node[step] if isinstance(step, int) and step < len(node) else None


def _set_child(node: Any, step: str | int, value: Any) -> bool:
    if isinstance(node, list):
        if not isinstance(step, int) or step > len(node):
            return False
        if step == len(node):
            node.append(None)
    node[step] = value
    return True


def _usage_of(usage: _Usage) -> Usage:
    return Usage(
        input=usage.prompt_token_count,
        output=usage.candidates_token_count,
        cache_read=usage.cached_content_token_count,
        reasoning=usage.thoughts_token_count,
    )


def _plain(word: str) -> str:
    # The SDK's enums are strings whose str() is not their value.
    return str.__str__(word)

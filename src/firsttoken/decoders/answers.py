"""Answers that came whole, where no stream was asked for. Floor 2 (think); thinker thread.

What differs from a stream of the same provider is only where things stand: one row per form. Forms that are
events of a stream as well (chat completions, messages, Gemini, Ollama) are read by their formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Finish, Identity, Reasoning, Text, Usage
from firsttoken.decoders._payload import UNREADABLE, error_of, get, parse_json


class Form(Struct, frozen=True):
    """Where an answer keeps what it says: paths of keys, `*` for each element of a list.

    shape: knows the form. Of several paths for one thing, the first that leads somewhere counts.
    """

    shape: Callable[[Any], bool]
    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    finish: tuple[str, ...] = ()
    id: str = "id"
    model: str = "model"
    error: str | None = None
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cache_read: str | None = None
    cache_creation: str | None = None
    reasoned: str | None = None
    input_excludes_cache: bool = False


def _has(*keys: str) -> Callable[[Any], bool]:
    return lambda body: all(get(body, key) is not None for key in keys)


def _is(value: str) -> Callable[[Any], bool]:
    return lambda body: get(body, "object") == value


_FORMS: Final = (
    Form(  # OpenAI's responses, and who copied them
        _is("response"),
        text=("output.*.content.*.text",),
        reasoning=("output.*.summary.*.text",),
        finish=("status",),
        error="error",
        input=("usage.input_tokens",),
        output=("usage.output_tokens",),
        cache_read="usage.input_tokens_details.cached_tokens",
        reasoned="usage.output_tokens_details.reasoning_tokens",
    ),
    Form(  # Google's interactions
        _is("interaction"),
        text=("outputs.*.text",),
        reasoning=("outputs.*.summary.*.text",),
        finish=("status",),
        error="error",
        input=("usage.total_input_tokens",),
        output=("usage.total_output_tokens",),
        cache_read="usage.total_cached_tokens",
        reasoned="usage.total_thought_tokens",
    ),
    Form(  # Bedrock's converse
        _has("output", "stopReason", "usage"),
        text=("output.message.content.*.text",),
        reasoning=("output.message.content.*.reasoningContent.reasoningText.text",),
        finish=("stopReason",),
        input=("usage.inputTokens",),
        output=("usage.outputTokens",),
        cache_read="usage.cacheReadInputTokens",
        cache_creation="usage.cacheWriteInputTokens",
        input_excludes_cache=True,
    ),
    Form(  # Bedrock's invoke, Llama
        _has("generation", "stop_reason"),
        text=("generation",),
        finish=("stop_reason",),
        input=("prompt_token_count",),
        output=("generation_token_count",),
    ),
    Form(  # Bedrock's invoke, Titan
        _has("inputTextTokenCount", "results"),
        text=("results.*.outputText",),
        finish=("results.*.completionReason",),
        input=("inputTextTokenCount",),
        output=("results.*.tokenCount",),
    ),
    Form(  # Cohere v2
        lambda body: get(get(body, "message"), "content") is not None and _has("finish_reason")(body),
        text=("message.content.*.text",),
        reasoning=("message.content.*.thinking",),
        finish=("finish_reason",),
        input=("usage.tokens.input_tokens", "usage.billed_units.input_tokens"),
        output=("usage.tokens.output_tokens", "usage.billed_units.output_tokens"),
        cache_read="usage.cached_tokens",
    ),
    Form(  # Cohere v1
        _has("generation_id", "text"),
        text=("text",),
        finish=("finish_reason",),
        id="generation_id",
        input=("meta.tokens.input_tokens", "meta.billed_units.input_tokens"),
        output=("meta.tokens.output_tokens", "meta.billed_units.output_tokens"),
    ),
    Form(  # Text Generation Inference
        _has("generated_text"),
        text=("generated_text",),
        finish=("details.finish_reason",),
        output=("details.generated_tokens",),
    ),
)


def is_answer(name: Any, body: Any) -> bool:
    """Tell whether a payload is a whole answer in a form that is no stream's."""
    return name is None and _form_of(body) is not None


class WholeAnswer:
    """Reads one answer that came whole."""

    name = "answer"
    provider: str | None = None
    has_done = False
    has_finish = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return what the answer says, as if it had been streamed."""
        if isinstance(payload, WireEvent):
            try:
                payload = parse_json(payload.data)
            except (ValueError, RecursionError):
                return UNREADABLE
        form = _form_of(payload)
        return UNREADABLE if form is None else _read(form, _opened(payload))


def _form_of(body: Any) -> Form | None:
    body = _opened(body)
    return next((form for form in _FORMS if form.shape(body)), None)


def _opened(body: Any) -> Any:
    # Text Generation Inference answers with a list of one.
    return body[0] if isinstance(body, list) and len(body) == 1 else body


def _read(form: Form, body: Any) -> list[Delta]:
    deltas: list[Delta] = []
    identity = Identity(next(_texts(body, (form.id,)), None), next(_texts(body, (form.model,)), None))
    if identity != Identity():
        deltas.append(identity)
    error = None if form.error is None else _first(body, form.error)
    if error:
        return [*deltas, error_of(error)]
    deltas += [Reasoning(text) for text in _texts(body, form.reasoning)]
    deltas += [Text(text) for text in _texts(body, form.text)]
    reason = next(_texts(body, form.finish), None)
    if reason is not None:
        deltas.append(Finish(reason))
    usage = Usage(
        input=_count(body, form.input),
        output=_count(body, form.output),
        cache_read=_count(body, (form.cache_read,)),
        cache_creation=_count(body, (form.cache_creation,)),
        reasoning=_count(body, (form.reasoned,)),
        input_excludes_cache=form.input_excludes_cache,
    )
    if usage != Usage(input_excludes_cache=form.input_excludes_cache):
        deltas.append(usage)
    return deltas


def _texts(body: Any, paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        found = [value for value in _at(body, path.split(".")) if isinstance(value, str) and value]
        if found:
            yield from found
            return


def _count(body: Any, paths: Sequence[str | None]) -> int | None:
    for path in paths:
        value = None if path is None else _first(body, path)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _first(body: Any, path: str) -> Any:
    return next(_at(body, path.split(".")), None)


def _at(value: Any, keys: Sequence[str]) -> Iterator[Any]:
    if not keys:
        yield value
    elif keys[0] == "*":
        for item in value if isinstance(value, list | tuple) else ():
            yield from _at(item, keys[1:])
    elif (found := get(value, keys[0])) is not None:
        yield from _at(found, keys[1:])

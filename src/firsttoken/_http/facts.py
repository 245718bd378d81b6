"""What a request to a model asks for, as far as its span may tell. Floor 2 (think): pure; caller's thread.

Only numbers, names and stop sequences are read, never a prompt: the body is decoded in part, its messages
are skipped as bytes.

Source: https://github.com/open-telemetry/semantic-conventions-genai (gen_ai.request.*).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from firsttoken import semconv
from firsttoken._http.hosts import asks_for_stream, model_in

#: Longer bodies (images, documents) are not looked into: this much costs about half a millisecond.
MAX_BODY_BYTES: Final = 1024 * 1024

_PORTS: Final = {"http": 80, "https": 443}
#: In which the SDKs made by Stainless (OpenAI, Anthropic, Groq, ...) say how often they tried before.
_RETRY_HEADER: Final = "x-stainless-retry-count"
_MAX_STOPS: Final = 16
_MAX_TEXT: Final = 256


class _Body(msgspec.Struct, gc=False):
    """The fields, at whichever level a provider has them. All may be anything: requests are not ours."""

    model: Any = None
    stream: Any = None
    temperature: Any = None
    top_p: Any = None
    p: Any = None
    top_k: Any = None
    k: Any = None
    n: Any = None
    seed: Any = None
    random_seed: Any = None
    stop: Any = None
    stop_sequences: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    max_tokens_to_sample: Any = None
    num_predict: Any = None
    max_new_tokens: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    candidate_count: Any = None
    # Google and Amazon
    maxTokens: Any = None
    maxOutputTokens: Any = None
    topP: Any = None
    topK: Any = None
    stopSequences: Any = None
    candidateCount: Any = None
    frequencyPenalty: Any = None
    presencePenalty: Any = None


class _Nested(_Body, gc=False):
    generationConfig: _Body | None = None
    generation_config: _Body | None = None
    inferenceConfig: _Body | None = None
    options: _Body | None = None
    parameters: _Body | None = None


_decoder: Final = msgspec.json.Decoder(_Nested)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    # Attributes are 64 bits wide.
    return value if whole and -(1 << 63) <= value < 1 << 63 else None


def _text(value: Any) -> str | None:
    return value[:_MAX_TEXT] if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...] | None:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return None
    return tuple(item[:_MAX_TEXT] for item in values[:_MAX_STOPS]) or None


_FACTS: Final[tuple[tuple[str, Callable[[Any], Any], tuple[str, ...]], ...]] = (
    (semconv.REQUEST_MODEL, _text, ("model",)),
    (semconv.REQUEST_TEMPERATURE, _number, ("temperature",)),
    (semconv.REQUEST_TOP_P, _number, ("top_p", "p", "topP")),
    (semconv.REQUEST_TOP_K, _number, ("top_k", "k", "topK")),
    (
        semconv.REQUEST_MAX_TOKENS,
        _count,
        (
            "max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample",
            "num_predict", "max_new_tokens", "maxTokens", "maxOutputTokens",
        ),
    ),
    (semconv.REQUEST_SEED, _count, ("seed", "random_seed")),
    (semconv.REQUEST_STOP_SEQUENCES, _texts, ("stop", "stop_sequences", "stopSequences")),
    (semconv.REQUEST_FREQUENCY_PENALTY, _number, ("frequency_penalty", "frequencyPenalty")),
    (semconv.REQUEST_PRESENCE_PENALTY, _number, ("presence_penalty", "presencePenalty")),
)  # fmt: skip


def facts_of(path: str, body: bytes | None) -> dict[str, Any]:
    """Return the `gen_ai.request.*` attributes of a request; what is not there is left out.

    path: of its URL, where some providers name the model.
    body: its JSON, if it is at hand. One that is none, or too long, tells nothing; never raises.

    Cost: once per call; a prompt of 10 kB takes about 10 µs.
    """
    facts: dict[str, Any] = {}
    asked = _read(body)
    if asked is not None:
        levels = [asked, asked.generationConfig, asked.generation_config, asked.inferenceConfig]
        levels += [asked.options, asked.parameters]
        for level in levels:
            if level is not None:
                _take(facts, level)
    if semconv.REQUEST_MODEL not in facts and (model := model_in(path)):
        facts[semconv.REQUEST_MODEL] = _text(model)
    if asks_for_stream(path):
        facts[semconv.REQUEST_STREAM] = True
    return facts


def facts_in(*levels: Any) -> dict[str, Any]:
    """Return the `gen_ai.request.*` attributes of a call's arguments.

    levels: mappings, or objects with attributes; what the first says stands.
    """
    facts: dict[str, Any] = {}
    for level in levels:
        read = level.get if isinstance(level, Mapping) else partial(_attribute, level)
        _take(facts, _Body(**{field: read(field) for field in _Body.__struct_fields__}))
    return facts


def request_facts(request: Any, provider: str | None = None) -> dict[str, Any]:
    """Return what a request says of itself; never a header's value but the number of tries before.

    request: an httpx or httpx2 one.
    """
    url = request.url
    facts = facts_of(url.path, _body_at_hand(request))
    facts[semconv.SERVER_ADDRESS] = url.host
    facts[semconv.SERVER_PORT] = url.port or _PORTS.get(url.scheme, 443)
    if provider is not None:
        facts[semconv.PROVIDER_NAME] = provider
    tried = request.headers.get(_RETRY_HEADER, "")
    if tried.isdecimal() and len(tried) < 4 and int(tried) > 0:
        facts[semconv.HTTP_RESEND_COUNT] = int(tried)
    return facts


def _attribute(level: Any, field: str) -> Any:
    return getattr(level, field, None)


def _body_at_hand(request: Any) -> bytes | None:
    """Return the body of a request unless it is sent piecemeal."""
    try:
        content: bytes = request.content
    except Exception:  # httpx and httpx2 have an error each for a body that was not read
        return None
    return content


def _read(body: bytes | None) -> _Nested | None:
    if not body or len(body) > MAX_BODY_BYTES:
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _take(facts: dict[str, Any], level: _Body) -> None:
    for attribute, valid, fields in _FACTS:
        if attribute not in facts:
            for field in fields:
                value = valid(getattr(level, field))
                if value is not None:
                    facts[attribute] = value
                    break
    choices = _count(level.n) or _count(level.candidateCount) or _count(level.candidate_count)
    if choices is not None and choices > 1:
        # Source: gen_ai.request.choice.count is told if it is not 1.
        facts.setdefault(semconv.REQUEST_CHOICE_COUNT, choices)
    if isinstance(level.stream, bool):
        facts.setdefault(semconv.REQUEST_STREAM, level.stream)

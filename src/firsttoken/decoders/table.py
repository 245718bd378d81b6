"""The table of formats: who sends it, from where, and how to know it. Floor 2 (think); any thread.

A new provider is one file in `formats` and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import Format
from firsttoken.decoders.answers import WholeAnswer, is_answer
from firsttoken.decoders.formats.anthropic_complete import AnthropicComplete, is_anthropic_complete
from firsttoken.decoders.formats.anthropic_messages import AnthropicMessages, is_anthropic_messages
from firsttoken.decoders.formats.bedrock import BedrockConverse, is_bedrock_converse
from firsttoken.decoders.formats.bedrock_invoke import BedrockInvoke, is_bedrock_invoke
from firsttoken.decoders.formats.cohere import CohereV2, is_cohere_v2
from firsttoken.decoders.formats.cohere_v1 import CohereV1, is_cohere_v1
from firsttoken.decoders.formats.google import GoogleGemini, is_google_gemini
from firsttoken.decoders.formats.google_interactions import GoogleInteractions, is_google_interactions
from firsttoken.decoders.formats.langgraph import LangGraph, is_langgraph
from firsttoken.decoders.formats.langserve import LangServe, is_langserve
from firsttoken.decoders.formats.ollama import Ollama, is_ollama
from firsttoken.decoders.formats.openai_assistants import OpenAIAssistants, is_openai_assistants
from firsttoken.decoders.formats.openai_chat import OpenAIChat, is_openai_chat
from firsttoken.decoders.formats.openai_completions import OpenAICompletions, is_openai_completions
from firsttoken.decoders.formats.openai_responses import OpenAIResponses, is_openai_responses
from firsttoken.decoders.formats.replicate import Replicate, is_replicate
from firsttoken.decoders.formats.text import LooseJSON, PlainText
from firsttoken.decoders.formats.tgi import TGI, is_tgi
from firsttoken.decoders.formats.vercel import VercelUI, is_vercel_ui
from firsttoken.decoders.formats.vercel_data import VercelData, is_vercel_data
from firsttoken.decoders.formats.watsonx import Watsonx, is_watsonx
from firsttoken.errors import ConfigError

Shape = Callable[[Any, Any], bool]
"""Whether a payload is of a format: (name of the wire event or None, body) -> bool.

The body is a `dict`, `list` or `str` from the wire, a `dict`, or an SDK object: read it with `get`.
"""


class Row(Struct, frozen=True):
    """One format.

    name: how to ask for it.
    factory: makes the reader of one stream.
    shape: knows it by one payload; None: only by name or host.
    hosts: patterns (`*` stands for anything) -> the provider that sends it from there.
    modules: first names of the Python packages whose objects it reads -> the provider.
    """

    name: str
    factory: Callable[[], Format]
    shape: Shape | None = None
    hosts: Mapping[str, str | None] = {}
    modules: Mapping[str, str | None] = {}


def _is_vercel_data(name: Any, body: Any) -> bool:
    return isinstance(body, str) and is_vercel_data(body[:3].encode("utf-8", "replace"))


_OPENAI_HOSTS: Final = {"api.openai.com": "openai", "*.openai.azure.com": "azure.ai.openai"}
_OPENAI_LIKE_HOSTS: Final = {
    **_OPENAI_HOSTS,
    "*.services.ai.azure.com": "azure.ai.inference",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.*": "moonshot",
    "openrouter.ai": "openrouter",
    "*.snowflakecomputing.com": "snowflake",
}
_BEDROCK_HOSTS: Final = {"bedrock-runtime*.amazonaws.com*": "aws.bedrock"}
_GEMINI_HOSTS: Final = {"generativelanguage.googleapis.com": "gcp.gemini"}
_COHERE_HOSTS: Final = {"api.cohere.com": "cohere", "api.cohere.ai": "cohere"}

_ROWS: Final[list[Row]] = [
    Row(
        "openai.chat",
        OpenAIChat,
        is_openai_chat,
        hosts=_OPENAI_LIKE_HOSTS,
        modules={"openai": "openai", "groq": "groq", "mistralai": "mistral_ai", "together": "together"},
    ),
    Row(
        "openai.responses",
        OpenAIResponses,
        is_openai_responses,
        hosts={**_OPENAI_HOSTS, "api.x.ai": "x_ai", "openrouter.ai": "openrouter"},
        modules={"openai": "openai"},
    ),
    Row(
        "anthropic.messages",
        AnthropicMessages,
        is_anthropic_messages,
        hosts={"api.anthropic.com": "anthropic"},
        modules={"anthropic": "anthropic"},
    ),
    Row(
        "google.gemini",
        GoogleGemini,
        is_google_gemini,
        hosts={**_GEMINI_HOSTS, "*aiplatform.googleapis.com": "gcp.vertex_ai"},
        modules={"google": "gcp.gemini"},
    ),
    Row("bedrock.converse", BedrockConverse, is_bedrock_converse, hosts=_BEDROCK_HOSTS),
    Row("bedrock.invoke", BedrockInvoke, is_bedrock_invoke, hosts=_BEDROCK_HOSTS),
    Row("cohere.v2", CohereV2, is_cohere_v2, hosts=_COHERE_HOSTS, modules={"cohere": "cohere"}),
    Row("cohere.v1", CohereV1, is_cohere_v1, hosts=_COHERE_HOSTS, modules={"cohere": "cohere"}),
    Row(
        "ollama",
        Ollama,
        is_ollama,
        hosts={"*:11434": "ollama", "ollama.com": "ollama"},
        modules={"ollama": "ollama"},
    ),
    Row(
        "openai.assistants",
        OpenAIAssistants,
        is_openai_assistants,
        hosts=_OPENAI_HOSTS,
        modules={"openai": "openai"},
    ),
    Row(
        "openai.completions",
        OpenAICompletions,
        is_openai_completions,
        hosts=_OPENAI_HOSTS,
        modules={"openai": "openai"},
    ),
    Row("google.interactions", GoogleInteractions, is_google_interactions, hosts=_GEMINI_HOSTS),
    Row(
        "anthropic.complete",
        AnthropicComplete,
        is_anthropic_complete,
        hosts={"api.anthropic.com": "anthropic"},
    ),
    Row(
        "tgi",
        TGI,
        is_tgi,
        hosts={"router.huggingface.co": "huggingface", "*.endpoints.huggingface.cloud": "huggingface"},
        modules={"huggingface_hub": "huggingface"},
    ),
    Row(
        "watsonx",
        Watsonx,
        is_watsonx,
        hosts={"*.ml.cloud.ibm.com": "ibm.watsonx.ai", "*.wxai.ibm.com": "ibm.watsonx.ai"},
    ),
    Row(
        "replicate",
        Replicate,
        is_replicate,
        hosts={"*.replicate.net": "replicate", "*.replicate.com": "replicate"},
        modules={"replicate": "replicate"},
    ),
    Row("vercel.ui", VercelUI, is_vercel_ui),
    Row("vercel.data", VercelData, _is_vercel_data),
    Row("langgraph", LangGraph, is_langgraph, hosts={"*.langgraph.app": None}),
    Row("langserve", LangServe, is_langserve),
]

TEXT: Final = Row("text", PlainText)
LOOSE_JSON: Final = Row("json", LooseJSON)
"""What is left for a body, and for a JSON document or an object, that no row knows."""

ANSWER: Final = Row("answer", WholeAnswer, is_answer)
"""Tried last: what came whole in a form that is no stream's. Nobody asks for it by name."""

_ROWS.extend((TEXT, LOOSE_JSON))


def formats() -> tuple[str, ...]:
    """Return the names of all formats, in the order in which their shapes are tried."""
    return tuple(row.name for row in _ROWS)


def register(
    name: str,
    factory: Callable[[], Format],
    *,
    shape: Shape | None = None,
    hosts: Mapping[str, str | None] | None = None,
    modules: Mapping[str, str | None] | None = None,
) -> None:
    """Add a format of one's own; its shape is tried before all others.

    name: how to ask for it, by `decoder_for(name)`.
    factory: makes the reader of one stream, a `Format`; called once per stream.
    shape: (name of the wire event or None, body) -> whether the payload is of this format.
    hosts: host patterns (`*` stands for anything) -> the provider's name.
    modules: first names of Python packages whose objects it reads -> the provider's name.

    Raises:
        ConfigError: if the name is taken, or `factory` or `shape` cannot be called.
    """
    if not name or name in formats():
        raise ConfigError(f"format name {name!r} is empty or taken; taken are: {', '.join(formats())}")
    if not callable(factory) or not (shape is None or callable(shape)):
        raise ConfigError("factory and shape of a format must be callable")
    _ROWS.insert(0, Row(name, factory, shape, hosts or {}, modules or {}))


def row_named(name: str) -> Row:
    """Return the row of a format.

    Raises:
        ConfigError: if there is none of that name.
    """
    for row in _ROWS:
        if row.name == name:
            return row
    raise ConfigError(f"no format {name!r}; there are: {', '.join(formats())}")


def row_of(name: str | None, body: Any, *, host: str | None = None) -> Row | None:
    """Return the row whose shape fits one payload, or None. Rows that know `host` are tried first.

    name: of the wire event, if it has one.
    body: a `dict`, `list` or `str` from the wire, a `dict`, or an SDK object.
    """
    rows = sorted(_ROWS, key=lambda row: not _knows(row, host)) if host else _ROWS
    for row in (*rows, ANSWER):
        if row.shape is not None and _fits(row.shape, name, body):
            return row
    return None


def provider_at(host: str | None) -> str | None:
    """Return the provider that sends streams from `host` (with or without a port), if a row knows it."""
    for row in _ROWS if host else ():
        for pattern, provider in row.hosts.items():
            if _matches(host, pattern):
                return provider
    return None


def provider_of(chunk: Any, row: Row) -> str | None:
    """Return the provider whose Python package defines the type of `chunk`, if `row` knows it."""
    return row.modules.get(_package_of(chunk))


def knows_package(chunk: Any) -> bool:
    """Return whether some row reads objects of the Python package that defines the type of `chunk`."""
    return is_known_package(type(chunk).__module__ or "")


def is_known_package(module: str) -> bool:
    """Return whether a module, by its full name, is of a Python package whose objects some row reads."""
    return any(module.partition(".")[0] in row.modules for row in _ROWS)


def _package_of(chunk: Any) -> str:
    return (type(chunk).__module__ or "").partition(".")[0]


def _knows(row: Row, host: str | None) -> bool:
    return any(_matches(host, pattern) for pattern in row.hosts)


def _matches(host: str | None, pattern: str) -> bool:
    host = (host or "").lower()
    name, _, port = host.rpartition(":")
    return fnmatchcase(host, pattern) or (port.isdigit() and fnmatchcase(name, pattern))


def _fits(shape: Shape, name: str | None, body: Any) -> bool:
    try:
        return bool(shape(name, body))
    except Exception:  # bodies are whatever came, and anyone may register a shape
        return False

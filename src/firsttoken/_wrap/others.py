"""Who else tells a call to a model. Floor 4 (wrap); the user's thread, once per call.

Those who follow the conventions leave a mark in the context, and honour ours (`firsttoken._tell.context`).
The others are known by where they stand: the type of the stream they hand out, the tracer of an SDK that
traces itself, a frame of theirs below the transport. None of them is imported.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from opentelemetry.trace import Span

from firsttoken._tell.context import is_called_by
from firsttoken._wrap.asked import caller_of

#: Packages that hand out streams of their own, which tell their call.
_TELLERS: Final = (
    "opentelemetry.instrumentation.",
    "openinference.instrumentation.",
    "logfire.",
    "ddtrace.",
    "langfuse.",
)
#: Modules of SDKs that trace themselves, in which their response bodies are wrapped.
_TRACING_BODIES: Final = ("anthropic._tracing",)
#: OpenLLMetry's instrumentations that neither mark the context nor make their span current.
_UNMARKED: Final = tuple(
    f"opentelemetry.instrumentation.{sdk}"
    for sdk in ("anthropic", "cohere", "google_generativeai", "groq", "mistralai", "ollama", "together")
)
#: How far up the stack an SDK's method is looked for; SDKs are ten to twenty calls deep.
_DEEPEST: Final = 64


def is_told(source: Any) -> bool:
    """Whether somebody else tells the call that `source` is the answer to, or is about to make."""
    try:
        if type(source).__module__.startswith(_TELLERS):
            return True
        response = getattr(source, "response", None)
        if type(getattr(response, "stream", None)).__module__ in _TRACING_BODIES:
            return True
        # Mistral's keeps the span of a call with its request.
        kept = getattr(getattr(response, "request", None), "extensions", None) or {}
        if any(isinstance(value, Span) for value in kept.values()):
            return True
        return _traces_itself(caller_of(source))
    except Exception:  # attributes of other people's objects may do anything
        return False


def _traces_itself(client: Any) -> bool:
    """Whether an SDK's client makes spans of its calls: Anthropic's has a tracer, Mistral's a hook."""
    if getattr(client, "_tracer", None) is not None:
        return True
    hooks = getattr(getattr(client, "sdk_configuration", None), "_hooks", None)
    return any(
        getattr(hook, "tracer_provider", None) is not None
        or getattr(hook, "_telemetry_use_global_provider", False)
        for hook in getattr(hooks, "before_request_hooks", ())
    )


def is_told_on_the_stack() -> bool:
    """Whether an instrumentation that leaves no mark in the context made the current call.

    Cost: nothing where none is loaded; else about 2 µs for a call to a model.
    """
    if not any(module in sys.modules for module in _UNMARKED):
        return False
    return is_called_by(_UNMARKED, _DEEPEST)

"""The OpenTelemetry context a stream is pulled in. Floor 3 (tell); the user's thread, once per stream.

`opentelemetry.context.attach` and `detach` cost half a microsecond and log "Failed to detach context"
when a generator is closed from elsewhere. The variable beneath them does the same for a tenth; it is
looked up here, once, and nowhere else.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from firsttoken import semconv

#: Instrumentations of SDKs that know nothing of the conventions' mark (OpenLLMetry) step aside for this.
SUPPRESS_MODEL_SPANS_KEY: Final = "suppress_language_model_instrumentation"
#: In which OpenTelemetry's instrumentations are told to be silent: the word, and the key of this process.
SUPPRESS_KEYS: Final = tuple(
    dict.fromkeys(
        (
            "suppress_instrumentation",
            getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
        )
    )
)
#: Who instruments SDKs, and asks those keys alone; and how many calls deep they ask.
_SDK_INSTRUMENTATIONS: Final = (
    "logfire._internal.integrations.llm_providers",
    "openinference.instrumentation.anthropic",
    "openinference.instrumentation.google_genai",
    "openinference.instrumentation.groq",
    "openinference.instrumentation.mistralai",
    "openinference.instrumentation.openai",
)
_CALLERS: Final = 3


def current_context_var() -> ContextVar[Any]:
    """Return the variable that holds the current OpenTelemetry context."""
    runtime_context = getattr(otel_context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime_context, "_current_context", None)
    if isinstance(variable, ContextVar):
        return variable
    # Another implementation is plugged in (OTEL_PYTHON_CONTEXT): spans made while the source is pulled
    # are then not nested; everything else works.
    return ContextVar("firsttoken_context", default=None)


def inference_context(span: trace.Span, parent: Context | None, operation: str, stream: object) -> Context:
    """Return the context in which a stream's source is pulled.

    For an operation that is a call to a model it carries a mark, so that the layers below (the official
    GenAI instrumentations, our own transports) do not tell the same call again.

    stream: what `owner_of` returns to the layers below.
    """
    context = trace.set_span_in_context(span, parent)
    if operation not in semconv.INFERENCE_OPERATIONS:
        return context
    context = otel_context.set_value(SUPPRESS_MODEL_SPANS_KEY, True, context)
    if not is_suppressed(parent):
        for key in SUPPRESS_KEYS:
            context = otel_context.set_value(key, _FOR_MODEL_CALLS, context)
    return otel_context.set_value(semconv.INFERENCE_CONTEXT_KEY, _mark_of(stream), context)


def is_told_above(context: Context | None = None) -> bool:
    """Whether a layer above, ours or not, already tells the call that is made in `context`."""
    return otel_context.get_value(semconv.INFERENCE_CONTEXT_KEY, context) is not None


def owner_of(context: Context | None = None) -> Any:
    """Return the stream of ours that tells the call made in this context; None if it is not ours."""
    mark = otel_context.get_value(semconv.INFERENCE_CONTEXT_KEY, context)
    return getattr(mark, "firsttoken_stream", None)


def is_suppressed(context: Context | None = None) -> bool:
    """Whether spans of calls to models are not wanted in `context`, by whoever said so."""
    return any(otel_context.get_value(key, context) for key in (*SUPPRESS_KEYS, SUPPRESS_MODEL_SPANS_KEY))


def is_called_by(modules: tuple[str, ...], depth: int) -> bool:
    """Return whether code of `modules` is among those who called the caller.

    modules: how their full names begin.
    depth: how many calls deep to look.
    """
    # No local variable of anybody is touched: a frame that shows them keeps a copy.
    frame = sys._getframe(2)
    for _ in range(depth):
        name = frame.f_globals.get("__name__")
        if isinstance(name, str) and name.startswith(modules):
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


class _ForModelCalls:
    """Suppression that is true only for instrumentations of SDKs: spans of HTTP and databases stay.

    OpenInference and Logfire know no narrower word than the one that suppresses everything.
    """

    def __bool__(self) -> bool:
        return is_called_by(_SDK_INSTRUMENTATIONS, _CALLERS)


_FOR_MODEL_CALLS: Final = _ForModelCalls()


class _Mark:
    """Says whose call it is."""

    firsttoken_stream: object


def _mark_of(stream: object) -> object:
    # The official ones look for an instance of their own class; it exists only where one is loaded.
    genai = sys.modules.get("opentelemetry.util.genai.invocation")
    mark = getattr(genai, "InferenceData", _Mark)()
    mark.firsttoken_stream = stream
    return mark

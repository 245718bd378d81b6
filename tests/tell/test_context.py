"""The context of a stream: the span in it, the mark of the GenAI instrumentations, whichever are loaded."""

from __future__ import annotations

import subprocess
import sys
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from firsttoken._tell.context import current_context_var, inference_context, is_told_above, owner_of

KEY = "opentelemetry.genai.client.inference.context"


@pytest.fixture
def span() -> trace.Span:
    return TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s")


def test_the_variable_is_the_one_that_attach_sets() -> None:
    variable = current_context_var()
    token = otel_context.attach(otel_context.set_value("key", "value"))
    try:
        assert variable.get() is otel_context.get_current()
    finally:
        otel_context.detach(token)


def test_with_another_implementation_nothing_is_nested_and_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otel_context, "_RUNTIME_CONTEXT", object())
    variable = current_context_var()
    assert isinstance(variable, ContextVar)
    assert variable.get() is None


def test_the_span_is_in_the_context_and_the_parent_below(span: trace.Span) -> None:
    parent = otel_context.set_value("baggage", "kept")
    context = inference_context(span, parent, "chat", "the stream")
    assert trace.get_current_span(context) is span
    assert otel_context.get_value("baggage", context) == "kept"


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content"])
def test_a_call_to_a_model_says_whose_it_is(operation: str, span: trace.Span) -> None:
    context = inference_context(span, None, operation, "the stream")
    assert otel_context.get_value(KEY, context) is not None
    assert is_told_above(context)
    assert owner_of(context) == "the stream"


def test_another_stage_leaves_the_calls_below_to_be_told(span: trace.Span) -> None:
    context = inference_context(span, None, "enrich", "the stream")
    assert not is_told_above(context)
    assert owner_of(context) is None


def test_a_call_told_by_others_is_told_above_and_not_ours() -> None:
    context = otel_context.set_value(KEY, object())
    assert is_told_above(context)
    assert owner_of(context) is None


def test_the_mark_is_of_the_class_that_the_official_instrumentations_look_for(
    monkeypatch: pytest.MonkeyPatch, span: trace.Span
) -> None:
    class InferenceData:
        pass

    module: Any = ModuleType("opentelemetry.util.genai.invocation")
    module.InferenceData = InferenceData
    monkeypatch.setitem(sys.modules, module.__name__, module)
    context = inference_context(span, None, "chat", "the stream")
    assert isinstance(otel_context.get_value(KEY, context), InferenceData)
    assert owner_of(context) == "the stream"


def test_the_official_instrumentations_class_takes_our_mark() -> None:
    """The real package, where it is installed: its class must still be made without arguments."""
    program = """
import opentelemetry.util.genai.invocation
from opentelemetry import trace
from firsttoken._tell.context import inference_context, owner_of
assert owner_of(inference_context(trace.INVALID_SPAN, None, "chat", "the stream")) == "the stream"
"""
    pytest.importorskip("opentelemetry.util.genai")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_who_asks_whether_it_is_suppressed_may_have_no_name(span: trace.Span) -> None:
    context = inference_context(span, None, "chat", "the stream")
    scope: dict[str, Any] = {
        "__name__": None,
        "mark": otel_context.get_value("suppress_instrumentation", context),
    }
    exec("silent = bool(mark)", scope)
    assert scope["silent"] is False

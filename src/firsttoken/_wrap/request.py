"""What is known of a stream before its first chunk, and what its span may say of it. Floor 4 (wrap)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from opentelemetry.context import Context
from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._tell.emit import Finished
from firsttoken.decoders import DecoderFactory, decoder_for


@dataclass(frozen=True)
class Request:
    """What the caller said about a stream."""

    #: How many chunk events at most go on the span one by one, where they cannot go packed.
    most_span_events: ClassVar[int | None] = None

    operation: str = "chat"
    name: str | None = None
    provider: str | None = None
    model: str | None = None
    attributes: Mapping[str, Any] | None = None
    decoder: DecoderFactory = decoder_for
    done: Callable[[Any], bool] | None = None
    parent: Context | None = None
    tracer_provider: TracerProvider | None = None

    @property
    def is_of_a_call(self) -> bool:
        """Whether what streams is the answer to a call to a model, whoever tells that."""
        return self.operation in semconv.INFERENCE_OPERATIONS

    @property
    def span_name(self) -> str:
        """`{operation} {model}`, unless the caller named it."""
        return self.name or " ".join(filter(None, (self.operation, self.model)))

    @property
    def start_attributes(self) -> dict[str, Any]:
        """What is known before the response."""
        known = {
            semconv.OPERATION_NAME: self.operation,
            semconv.PROVIDER_NAME: self.provider,
            semconv.REQUEST_MODEL: self.model,
            semconv.REQUEST_STREAM: True,
            **(self.attributes or {}),
        }
        return {key: value for key, value in known.items() if value is not None}

    def learnable(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return of what came to light while it ran what the span may say."""
        return attributes

    def name_after(self, response_model: str | None) -> str | None:
        """Return a better name for the span now that a model has answered; None if it has a good one."""
        if response_model is None or self.model is not None or self.name is not None:
            return None
        return f"{self.operation} {response_model}"

    def told(self, finished: Finished, *, packed: bool) -> Finished:
        """Return of a finished stream what its span is to say.

        packed: the chunk events do not go on the span one by one.
        """
        most = self.most_span_events
        if packed or most is None:
            return finished
        return replace(finished, chunk_events=finished.chunk_events.coalesced(most))

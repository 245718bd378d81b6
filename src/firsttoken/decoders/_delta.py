"""Deltas: everything a decoder can read from a chunk. Floor 2 (think); runs on the thinker thread.

One small class per thing, told apart by type. Fields are absent (`None`) where the provider did not
send them; nothing here is ever estimated.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Text(Struct, frozen=True, gc=False):
    """Answer text of one choice.

    `text` is empty only where content came whose wording is not known (audio, an object of an unknown
    type): it counts as content all the same. A format never makes one of an empty string on the wire.
    """

    text: str
    choice: int = 0


class Reasoning(Struct, frozen=True, gc=False):
    """Thinking, reasoning or reasoning-summary text: generated, but not yet the answer."""

    text: str
    choice: int = 0


class Refusal(Struct, frozen=True, gc=False):
    """Text with which the model declines."""

    text: str
    choice: int = 0


class ToolPlan(Struct, frozen=True, gc=False):
    """Text in which the model says which tools it is about to call (Cohere)."""

    text: str
    choice: int = 0


class ToolCall(Struct, frozen=True):
    """The start or a continuation of one tool call.

    Calls are told apart by `choice` and `index`, never by `id`: several providers change the id from
    chunk to chunk. `arguments` is a piece of JSON text to append; `arguments_object` is the whole,
    where the provider sends it as one object.
    """

    index: int
    choice: int = 0
    id: str | None = None
    name: str | None = None
    type: str | None = None
    arguments: str | None = None
    arguments_object: Any = None


class Usage(Struct, frozen=True, gc=False):
    """Token counts so far; a later one replaces an earlier one field by field, never adds to it.

    `input` is what the wire calls prompt or input tokens. `input_excludes_cache` says that cache reads
    and writes come on top of it (Anthropic).
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    input_excludes_cache: bool = False


class Finish(Struct, frozen=True, gc=False):
    """Why the provider stopped generating one choice, in its own word."""

    reason: str
    choice: int = 0


class Identity(Struct, frozen=True, gc=False):
    """The response's id and model; the first value seen of each is the one that counts."""

    id: str | None = None
    model: str | None = None


class Done(Struct, frozen=True, gc=False):
    """The provider's own end mark; `marker` is what it is called on the wire."""

    marker: str


class StreamError(Struct, frozen=True, gc=False):
    """An error told inside the stream, after the headers had said success."""

    type: str | None = None
    code: str | None = None
    message: str | None = None


class KeepAlive(Struct, frozen=True, gc=False):
    """A sign of life without content (`ping`, SSE comment). Never a token."""


class Undecoded(Struct, frozen=True, gc=False):
    """A wire event that could not be read: its time counts, its content is lost and counted as such."""

    reason: str


Delta = (
    Text
    | Reasoning
    | Refusal
    | ToolPlan
    | ToolCall
    | Usage
    | Finish
    | Identity
    | Done
    | StreamError
    | KeepAlive
    | Undecoded
)

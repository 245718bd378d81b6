"""AWS Bedrock, InvokeModelWithResponseStream. Floor 2 (think); thinker thread.

Hosts: bedrock-runtime.*.amazonaws.com (`/invoke-with-response-stream`), and Anthropic on it.
`application/vnd.amazon.eventstream`, all frames named `chunk`; shape: `{"bytes": base64}` (boto3:
`{"chunk": {"bytes": b"..."}}`) around what the model itself streams: Anthropic, Nova, Llama, Titan,
Cohere, Mistral, DeepSeek or the dialect of OpenAI chat. The first chunk tells which. The last one has
`amazon-bedrock-invocationMetrics`, with the counts.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, field

from firsttoken.decoders._contract import Format, WireEvent
from firsttoken.decoders._delta import Delta, Finish, Text, Usage
from firsttoken.decoders._payload import UNREADABLE, Window, get
from firsttoken.decoders.formats.anthropic_complete import AnthropicComplete
from firsttoken.decoders.formats.anthropic_messages import AnthropicMessages
from firsttoken.decoders.formats.bedrock import CONVERSE_NAMES, BedrockConverse, failure_of
from firsttoken.decoders.formats.cohere import CohereV2
from firsttoken.decoders.formats.cohere_v1 import CohereV1
from firsttoken.decoders.formats.openai_chat import OpenAIChat
from firsttoken.decoders.formats.text import LooseJSON


class _Chunk(Struct, gc=False):
    payload: bytes | None = field(name="bytes", default=None)  # base64 on the wire


class _Envelope(_Chunk, gc=False):
    chunk: _Chunk | None = None


class _Metrics(Struct, gc=False, rename="camel"):
    input_token_count: int | None = None
    output_token_count: int | None = None
    cache_read_input_token_count: int | None = None
    cache_write_input_token_count: int | None = None


class _Measured(Struct, gc=False):
    metrics: _Metrics | None = field(name="amazon-bedrock-invocationMetrics", default=None)


_ENVELOPE: Final = Window(_Envelope)
_MEASURED: Final = Window(_Measured)
_METRICS_KEY: Final = b'"amazon-bedrock-invocationMetrics"'


def is_bedrock_invoke(name: Any, body: Any) -> bool:
    """Tell whether a payload is a chunk of InvokeModelWithResponseStream, on the wire or from boto3."""
    holder = body if name == "chunk" else get(body, "chunk")
    return get(holder, "bytes") is not None


class BedrockInvoke:
    """Reads the chunks of InvokeModelWithResponseStream, by the format of the model inside."""

    name = "bedrock.invoke"
    provider: str | None = "aws.bedrock"

    def __init__(self) -> None:
        self.has_done = True
        self.has_finish = True
        self._model: Format | None = None

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one chunk.

        Cost: tests/bench/bench_decoders.py, row "eventstream + bedrock.invoke".
        """
        if type(payload) is WireEvent:
            if payload.failure:
                return (failure_of(payload),)
            if not payload.data:
                return ()
        envelope = _ENVELOPE.read(payload)
        if envelope is None:
            return UNREADABLE
        data = envelope.payload if envelope.chunk is None else envelope.chunk.payload
        if not data:
            return UNREADABLE
        model = self._model
        if model is None:
            model = self._model = _model_format(data)
            self.has_done = model.has_done
            self.has_finish = model.has_finish
        deltas = model.read(WireEvent(data, "chunk"))
        if _METRICS_KEY in data and type(model) is not AnthropicMessages:  # which reads them itself
            deltas = [*deltas, *_read_metrics(data)]
        return deltas


def _read_metrics(data: bytes) -> Sequence[Usage]:
    measured = _MEASURED.read(data)
    metrics = measured.metrics if measured is not None else None
    if metrics is None:
        return ()
    return (
        Usage(
            input=metrics.input_token_count,
            output=metrics.output_token_count,
            cache_read=metrics.cache_read_input_token_count,
            cache_creation=metrics.cache_write_input_token_count,
            input_excludes_cache=True,
        ),
    )


class _Message(Struct, gc=False):
    content: str | None = None


class _Output(Struct, gc=False):
    text: str | None = None
    message: _Message | None = None
    delta: Any = None
    stop_reason: str | None = None
    index: int | None = None


class _ModelEvent(Struct, gc=False):
    generation: str | None = None  # Llama, and the next three
    prompt_token_count: int | None = None
    generation_token_count: int | None = None
    stop_reason: str | None = None
    output_text: str | None = field(name="outputText", default=None)  # Titan, and the next three
    completion_reason: str | None = field(name="completionReason", default=None)
    input_text_token_count: int | None = field(name="inputTextTokenCount", default=None)
    total_output_text_token_count: int | None = field(name="totalOutputTextTokenCount", default=None)
    outputs: list[_Output] | None = None  # Mistral
    choices: list[_Output] | None = None  # Mistral's chat, DeepSeek


class _Probe(_ModelEvent, gc=False):
    type: str | None = None
    completion: str | None = None
    event_type: str | None = None
    is_finished: bool | None = None


_MODEL_EVENT: Final = Window(_ModelEvent)
_PROBE: Final = Window(_Probe)


class _ModelText:
    """Reads what Llama, Titan, Mistral and DeepSeek stream: a piece of text, later a reason."""

    name = "bedrock.text"
    provider: str | None = "aws.bedrock"
    has_done = False
    has_finish = True

    def read(self, payload: Any) -> Sequence[Delta]:
        event = _MODEL_EVENT.read(payload)
        if event is None:
            return UNREADABLE
        deltas: list[Delta] = []
        text = event.generation or event.output_text
        if text:
            deltas.append(Text(text))
        for position, output in enumerate(event.outputs or event.choices or ()):
            choice = output.index if output.index is not None else position
            text = output.message.content if output.message is not None else output.text
            if text:
                deltas.append(Text(text, choice))
            if output.stop_reason:
                deltas.append(Finish(output.stop_reason, choice))
        given = event.prompt_token_count if event.generation is not None else event.input_text_token_count
        made = (
            event.generation_token_count
            if event.generation is not None
            else event.total_output_text_token_count
        )
        if given is not None or made is not None:
            deltas.append(Usage(input=given, output=made))
        reason = event.stop_reason or event.completion_reason
        if reason:
            deltas.append(Finish(reason))
        return deltas


def _model_format(data: bytes) -> Format:
    """Return the format of the model whose first payload this is."""
    probe = _PROBE.read(data) or _Probe()
    if probe.type is not None:
        return CohereV2() if "-" in probe.type else AnthropicMessages()
    if probe.completion is not None:
        return AnthropicComplete()
    if probe.event_type is not None or probe.is_finished is not None:
        return CohereV1()
    if probe.generation is not None or probe.output_text is not None or probe.outputs is not None:
        return _ModelText()
    if probe.choices is not None:
        whole = all(choice.delta is None for choice in probe.choices)
        return _ModelText() if probe.choices and whole else OpenAIChat()
    named = any(name.encode() in data for name in CONVERSE_NAMES)
    return BedrockConverse() if named else LooseJSON()

"""Every span, attribute, event and metric name we emit. Floor 0 (words); any thread.

Names starting with `gen_ai.` are the GenAI semantic conventions (in development); all others that we
coin start with `firsttoken.`. Times are doubles in seconds, counts are integers.

Source: https://github.com/open-telemetry/semantic-conventions-genai (spans, metrics),
https://opentelemetry.io/docs/specs/semconv/registry/attributes/ (error, server, code).
"""

from __future__ import annotations

from typing import Final

INSTRUMENTATION_NAME: Final = "firsttoken"

# --- request, known at the start -------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# --- response, known at the end --------------------------------------------------------------------
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"

# --- ours, on the span -----------------------------------------------------------------------------
OUTCOME: Final = "firsttoken.outcome"
TIME_TO_FIRST_TOKEN: Final = "firsttoken.time_to_first_token"
TIME_TO_FIRST_ANSWER: Final = "firsttoken.time_to_first_answer"
CHUNK_COUNT: Final = "firsttoken.chunk.count"
UNDECODED_COUNT: Final = "firsttoken.chunk.undecoded"
GAP_P50: Final = "firsttoken.gap.p50"
GAP_P95: Final = "firsttoken.gap.p95"
GAP_P99: Final = "firsttoken.gap.p99"
GAP_MAX: Final = "firsttoken.gap.max"
STALL_COUNT: Final = "firsttoken.stall.count"
STALL_THRESHOLD: Final = "firsttoken.stall.threshold"
WAIT: Final = "firsttoken.wait"
HOLD: Final = "firsttoken.hold"
HOLD_BEFORE_FIRST_TOKEN: Final = "firsttoken.hold_before_first_token"
LOOP_BLOCKED: Final = "firsttoken.loop_blocked"
TOKENS_PER_SECOND: Final = "firsttoken.tokens_per_second"
TIME_PER_OUTPUT_TOKEN: Final = "firsttoken.time_per_output_token"
TIMELINE: Final = "firsttoken.timeline"

# --- ours, span events -----------------------------------------------------------------------------
EVENT_CHUNK: Final = "firsttoken.chunk"
EVENT_FIRST_TOKEN: Final = "firsttoken.first_token"
EVENT_STALL: Final = "firsttoken.stall"
EVENT_LOOP_BLOCK: Final = "firsttoken.loop_block"
EVENT_ERROR: Final = "firsttoken.error"
EVENT_DONE: Final = "firsttoken.done"
SEQUENCE: Final = "firsttoken.sequence"
GAP: Final = "firsttoken.gap"
COALESCED: Final = "firsttoken.coalesced"
STALL_CAUSE: Final = "firsttoken.stall.cause"
STALL_ORIGIN: Final = "firsttoken.stall.origin"
STALL_DURATION: Final = "firsttoken.stall.duration"
#: The part of a stall that its cause has to answer for, 0 to 1.
STALL_SHARE: Final = "firsttoken.stall.share"
TEXT: Final = "firsttoken.text"
DONE_MARKER: Final = "firsttoken.done.marker"
CODE_FILE_PATH: Final = "code.file.path"
CODE_LINE_NUMBER: Final = "code.line.number"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_STACKTRACE: Final = "code.stacktrace"

# --- ours, blocks of the event loop: on the span, on its events, on the metric -------------------------
#: How many there were while the stream lived; the place ("file:line function") that cost it the most time,
#: and the part of the stream's duration that this place cost, 0 to 1.
LOOP_BLOCK_COUNT: Final = "firsttoken.loop_block.count"
LOOP_BLOCK_CULPRIT: Final = "firsttoken.loop_block.culprit"
LOOP_BLOCK_SHARE: Final = "firsttoken.loop_block.share"
#: `cpu`, `io`, `gil_or_cpu_wait` or `gc`: what the loop's thread did meanwhile.
LOOP_BLOCK_KIND: Final = "firsttoken.loop_block.kind"
#: Of the whole block (s); `firsttoken.loop_blocked` beside it is the part that fell into the stream.
LOOP_BLOCK_DURATION: Final = "firsttoken.loop_block.duration"
#: The other thread that held the interpreter, by name.
LOOP_BLOCK_THREAD: Final = "firsttoken.loop_block.thread"

# --- HTTP: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ ------------------------------
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL: Final = "http.request.method_original"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_STATUS_CODE: Final = "http.response.status_code"
HTTP_RESPONSE_CONTENT_TYPE: Final = "http.response.header.content-type"
HTTP_ROUTE: Final = "http.route"
URL_PATH: Final = "url.path"
URL_QUERY: Final = "url.query"
URL_SCHEME: Final = "url.scheme"
CLIENT_ADDRESS: Final = "client.address"
NETWORK_PROTOCOL_VERSION: Final = "network.protocol.version"
USER_AGENT: Final = "user_agent.original"
#: Seconds from the request to the first body byte that the application handed over.
TIME_TO_FIRST_BYTE: Final = "firsttoken.time_to_first_byte"
#: Bytes of body that the application handed over, before anything outside of us compressed them.
BODY_SIZE: Final = "firsttoken.body.size"

# --- metrics ---------------------------------------------------------------------------------------
METRIC_DURATION: Final = "gen_ai.client.operation.duration"
METRIC_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
METRIC_TIME_PER_OUTPUT_CHUNK: Final = "gen_ai.client.operation.time_per_output_chunk"
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"
TOKEN_TYPE: Final = "gen_ai.token.type"

#: The same under the names that replace them; one set or the other is recorded, never both.
METRIC_INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
METRIC_INFERENCE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
METRIC_INFERENCE_TIME_PER_OUTPUT_CHUNK: Final = "gen_ai.client.inference.time_per_output_chunk"
METRIC_INFERENCE_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.input_tokens"
METRIC_INFERENCE_OUTPUT_TOKENS: Final = "gen_ai.client.inference.usage.output_tokens"

#: Ours: every block of a watched event loop (s), with its kind.
METRIC_LOOP_BLOCK_DURATION: Final = "firsttoken.loop.block.duration"

SECONDS_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))

#: Operations that are one call to a model: CLIENT spans, told once however many layers see them.
INFERENCE_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content"})

# --- context ---------------------------------------------------------------------------------------
#: Set in the stream's context so that GenAI instrumentations below it do not tell the call again.
INFERENCE_CONTEXT_KEY: Final = "opentelemetry.genai.client.inference.context"

# --- pipelines: spans of buffer, merge, tee and stage ------------------------------------------------
PIPELINE_OPERATOR: Final = "firsttoken.pipeline.operator"
PIPELINE_SIZE: Final = "firsttoken.pipeline.size"
PIPELINE_ITEM_COUNT: Final = "firsttoken.pipeline.item.count"
PIPELINE_DROP_COUNT: Final = "firsttoken.pipeline.drop.count"
PIPELINE_DEPTH_MAX: Final = "firsttoken.pipeline.depth.max"
PIPELINE_DEPTH_MEAN: Final = "firsttoken.pipeline.depth.mean"
#: Backpressure: the source could not go on, because a reader had not taken what was there (s).
PIPELINE_PUT_WAIT: Final = "firsttoken.pipeline.put_wait"
#: Starvation: a reader could not go on, because nothing was there (s).
PIPELINE_GET_WAIT: Final = "firsttoken.pipeline.get_wait"
#: Waiting for a worker thread, because all of them were taken (s), and running in one (s).
PIPELINE_THREAD_WAIT: Final = "firsttoken.pipeline.thread_wait"
PIPELINE_THREAD_RUN: Final = "firsttoken.pipeline.thread_run"
#: One entry for each source of a merge, in the same order.
PIPELINE_SOURCE_NAMES: Final = "firsttoken.pipeline.source.names"
PIPELINE_SOURCE_ITEM_COUNTS: Final = "firsttoken.pipeline.source.item_counts"
PIPELINE_SOURCE_PUT_WAITS: Final = "firsttoken.pipeline.source.put_waits"
#: One entry for each branch of a tee, in order.
PIPELINE_BRANCH_ITEM_COUNTS: Final = "firsttoken.pipeline.branch.item_counts"
PIPELINE_BRANCH_DROP_COUNTS: Final = "firsttoken.pipeline.branch.drop_counts"
PIPELINE_BRANCH_DEPTH_MAXIMA: Final = "firsttoken.pipeline.branch.depth_maxima"
PIPELINE_BRANCH_PUT_WAITS: Final = "firsttoken.pipeline.branch.put_waits"
PIPELINE_BRANCH_GET_WAITS: Final = "firsttoken.pipeline.branch.get_waits"
#: Set while a stream's source is pulled, so that streams that begin in there know whom they feed.
PULLED_BY_CONTEXT_KEY: Final = "firsttoken.pulled_by"

"""The objects of the real SDKs, got from a local server that replays the corpus, tell the same facts.

All objects are collected first and read later, as the thinker does: what an SDK changes later would show.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from firsttoken.decoders import ChunkDecoder
from tests.decoders.corpus import RECORDED, Case, case
from tests.decoders.facts import facts_of, read_all

pytestmark = pytest.mark.skipif(
    not (RECORDED / "manifest.json").exists(),
    reason=f"no recorded streams at {RECORDED} (FIRSTTOKEN_CORPUS)",
)

MESSAGES: Any = [{"role": "user", "content": "hi"}]


def openai_chat(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def openai_chat_helper(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with (
        openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client,
        client.chat.completions.stream(model="m", messages=MESSAGES) as stream,
    ):
        yield from stream


def openai_completions(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.completions.create(model="m", prompt="hi", stream=True)


def openai_responses(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.responses.create(model="m", input="hi", stream=True)


def openai_responses_helper(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with (
        openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client,
        client.responses.stream(model="m", input="hi") as stream,
    ):
        yield from stream


def openai_assistants(base: str) -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.beta.threads.runs.create("t", assistant_id="a", stream=True)


def groq_chat(base: str) -> Any:
    groq = pytest.importorskip("groq")
    with groq.Groq(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def anthropic_messages(base: str) -> Any:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=base, api_key="none", max_retries=0) as client:
        yield from client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True)


def anthropic_messages_helper(base: str) -> Any:
    anthropic = pytest.importorskip("anthropic")
    with (
        anthropic.Anthropic(base_url=base, api_key="none", max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream,
    ):
        yield from stream


def google_genai(base: str) -> Any:
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="none", http_options={"base_url": base})
    yield from client.models.generate_content_stream(model="m", contents="hi")
    client.close()


def mistral_chat(base: str) -> Any:
    pytest.importorskip("mistralai")
    try:
        mistral = importlib.import_module("mistralai.client").Mistral
    except (ImportError, AttributeError):
        mistral = importlib.import_module("mistralai").Mistral
    with (
        mistral(server_url=base, api_key="none") as client,
        client.chat.stream(model="m", messages=MESSAGES) as s,
    ):
        yield from s


def cohere_v1(base: str) -> Any:
    cohere = pytest.importorskip("cohere")
    yield from cohere.Client(api_key="none", base_url=base).chat_stream(message="hi", model="m")


def cohere_v2(base: str) -> Any:
    cohere = pytest.importorskip("cohere")
    yield from cohere.ClientV2(api_key="none", base_url=base).chat_stream(model="m", messages=MESSAGES)


def ollama_chat(base: str) -> Any:
    ollama = pytest.importorskip("ollama")
    yield from ollama.Client(host=base).chat(model="m", messages=MESSAGES, stream=True)


def ollama_generate(base: str) -> Any:
    ollama = pytest.importorskip("ollama")
    yield from ollama.Client(host=base).generate(model="m", prompt="hi", stream=True)


RUNS: list[tuple[Callable[[str], Any], str]] = [
    *(
        (run, f"{name}.sse")
        for run in (openai_chat, openai_chat_helper)
        for name in (
            "openai-chat-n2-usage",
            "openai-chat-refusal",
            "openai-chat-text-usage",
            "openai-chat-tools-parallel",
            "deepseek-chat-reasoning",
            "litellm-proxy-chat-n2",
            "openrouter-chat-reasoning",
            "together-chat-text",
            "vllm-chat-text",
        )
        # The helper itself fails over OpenRouter's reasoning details.
        if (run, name) != (openai_chat_helper, "openrouter-chat-reasoning")
    ),
    (openai_chat, "azure-chat-contentfilter.sse"),
    (openai_chat, "groq-chat-tool-reasoning.sse"),
    (openai_chat, "mistral-chat-thinking.sse"),
    (openai_completions, "openai-completions-text.sse"),
    (openai_assistants, "openai-assistants-run.sse"),
    *(
        (run, f"{name}.sse")
        for run in (openai_responses, openai_responses_helper)
        for name in (
            "openai-responses-incomplete",
            "openai-responses-keepalive",
            "openai-responses-reasoning-summary",
            "openai-responses-text",
            "xai-responses-reasoning",
        )
    ),
    (groq_chat, "groq-chat-text-xgroq.sse"),
    (groq_chat, "groq-chat-tool-reasoning.sse"),
    *(
        (run, f"anthropic-messages-{name}.sse")
        for run in (anthropic_messages, anthropic_messages_helper)
        for name in ("text", "thinking", "tools")
    ),
    (google_genai, "google-gemini-text.sse"),
    (google_genai, "google-gemini-thinking.sse"),
    (google_genai, "google-gemini-tools.sse"),
    (mistral_chat, "mistral-chat-thinking.sse"),
    (cohere_v1, "cohere-v1chat-text.ndjson"),
    (cohere_v2, "cohere-v2chat-tools.sse"),
    (ollama_chat, "ollama-chat-thinking.ndjson"),
    (ollama_generate, "ollama-generate-text.ndjson"),
]


@contextlib.contextmanager
def replaying(replayed: Case) -> Iterator[str]:
    body, content_type = replayed.body, replayed.content_type or "text/event-stream"

    class Replay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Replay) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("run", "file"), RUNS, ids=lambda value: getattr(value, "__name__", value))
def test_sdk_objects_tell_what_the_wire_told(run: Callable[[str], Any], file: str) -> None:
    replayed = case(file)
    with replaying(replayed) as base:
        objects = list(run(base))
    wire = ChunkDecoder()
    told = facts_of(read_all(wire, [replayed.body]), wire.wire_events)
    decoder = ChunkDecoder()
    facts = facts_of(read_all(decoder, objects), decoder.wire_events)
    assert decoder.format_name == wire.format_name
    assert facts["undecoded"] == 0
    for key in ("content_delta_events", "content", "finish_reasons", "has_error"):
        assert facts[key] == told[key], key
    assert counts(facts) == counts(told)
    assert (facts["response_id"], facts["response_model"]) == (told["response_id"], told["response_model"])
    for key in ("tool_calls", "reasoning", "refusal", "tool_plan"):
        assert without_indexes(facts[key]) == without_indexes(told[key]), key
    if told["first_output"]:
        assert facts["first_output"]["kind"] == told["first_output"]["kind"]


def counts(facts: dict[str, Any]) -> Any:
    usage = facts["usage"]
    return usage and (usage["input"], usage["output"])


def without_indexes(value: Any) -> Any:
    return (
        {key: item for key, item in value.items() if key != "first_index"}
        if isinstance(value, dict)
        else value
    )

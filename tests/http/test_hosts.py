"""Hosts and paths: what is a call to a model, whose, and who may be told a trace."""

from __future__ import annotations

import pytest

from firsttoken._http.hosts import (
    MAX_REMEMBERED,
    HostPatterns,
    HostTable,
    asks_for_stream,
    is_private,
    model_in,
    operation_of,
)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com", "openai"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("api.anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.cohere.com", "cohere"),
    ],
)
def test_the_providers_hosts_are_known(host: str, provider: str) -> None:
    assert HostTable().look_up(host, None) == (True, provider)


@pytest.mark.parametrize("host", ["example.com", "openai.com.evil.test", "notapi.openai.com", "127.0.0.1"])
def test_other_hosts_are_not(host: str) -> None:
    assert HostTable().look_up(host, None) == (False, None)


def test_ollama_is_known_by_its_port() -> None:
    table = HostTable()
    assert table.look_up("127.0.0.1", 11434) == (True, "ollama")
    assert table.look_up("127.0.0.1", 11435) == (False, None)


def test_own_hosts_come_first_with_or_without_a_name() -> None:
    table = HostTable({"10.0.0.*:8000": "vllm", "api.openai.com": "proxy", "*.corp": None})
    assert table.look_up("10.0.0.7", 8000) == (True, "vllm")
    assert table.look_up("10.0.0.7", 8001) == (False, None)
    assert table.look_up("api.openai.com", None) == (True, "proxy")
    assert table.look_up("gateway.corp", 443) == (True, None)


def test_what_is_remembered_is_bounded_and_what_is_not_is_still_found() -> None:
    table = HostTable(["*.model.test"])
    for number in range(MAX_REMEMBERED + 10):
        assert table.look_up(f"host{number}.model.test", None) == (True, None)
    assert len(table._known) == MAX_REMEMBERED


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/mine/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/responses", "chat"),
        ("/v1/messages", "chat"),
        ("/v1beta/models/gemini-x:streamGenerateContent", "generate_content"),
        ("/v1beta/models/gemini-x:generateContent", "generate_content"),
        ("/v1/projects/p/models/claude-x:streamRawPredict", "chat"),
        ("/model/anthropic.claude-x-v1:0/converse-stream", "chat"),
        ("/model/amazon.nova/invoke-with-response-stream", "chat"),
        ("/v2/chat", "chat"),
        ("/api/chat", "chat"),
        ("/api/generate", "text_completion"),
        ("/v1/chat/completions/", "chat"),
        ("/v1/fim/completions", "text_completion"),
        ("/v1/complete", "text_completion"),
        ("/v1/chat", "chat"),
        ("/v1/generate", "text_completion"),
        ("/generate", "text_completion"),
        ("/generate_stream", "text_completion"),
        ("/ml/v1/text/chat", "chat"),
        ("/ml/v1/text/chat_stream", "chat"),
        ("/ml/v1/text/generation", "text_completion"),
        ("/ml/v1/text/generation_stream", "text_completion"),
        ("/v1beta/interactions", "generate_content"),
        ("/v1/projects/p/models/claude-x:rawPredict", "chat"),
        ("/model/m/converse", "chat"),
        ("/model/m/invoke", "chat"),
        ("/v1/threads/t/runs", "chat"),
        ("/v1/threads/runs", "chat"),
        ("/runs/stream", "chat"),
        ("/threads/t/runs/wait", "chat"),
        ("/v1/threads/t/runs/r/submit_tool_outputs", "chat"),
        ("/v1/threads/t/runs/r", None),
        ("/v1/threads/t/runs/r/cancel", None),
        ("/v1/threads/t/runs/r/steps", None),
        ("/v1/threads/t/messages", None),
        ("/v1/chat/completions/cmpl_1", None),
        ("/v1/chat/completions/cmpl_1/messages", None),
        ("/v1/chat/anything", None),
        ("/api/generate/x", None),
        ("/v1/models", None),
        ("/v1/embeddings", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/files", None),
        ("/", None),
    ],
)
def test_a_path_says_what_is_asked_for(path: str, operation: str | None) -> None:
    assert operation_of("POST", path) == operation


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_only_a_post_asks_a_model(method: str) -> None:
    assert operation_of(method, "/v1/threads/t/runs") is None
    assert operation_of(method, "/v1/chat/completions") is None


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-x:streamGenerateContent", "gemini-x"),
        ("/model/anthropic.claude-x-v1:0/converse-stream", "anthropic.claude-x-v1:0"),
        ("/openai/deployments/mine/chat/completions", "mine"),
        ("/v1/chat/completions", None),
    ],
)
def test_a_path_may_name_the_model(path: str, model: str | None) -> None:
    assert model_in(path) == model


def test_a_path_may_ask_for_a_stream() -> None:
    assert asks_for_stream("/v1beta/models/gemini-x:streamGenerateContent")
    assert asks_for_stream("/model/m/invoke-with-response-stream")
    assert asks_for_stream("/generate_stream")
    assert not asks_for_stream("/v1/chat/completions")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "[::1]", "10.1.2.3", "192.168.0.9", "localhost", "a.internal"]
)
def test_private_hosts_are_told_the_trace(host: str) -> None:
    assert is_private(host)
    assert HostPatterns().allow(host, 8000)
    assert not HostPatterns(()).allow(host, 8000)


@pytest.mark.parametrize("host", ["api.openai.com", "8.8.8.8", "localhost.evil.test", "2606:4700::1111"])
def test_public_hosts_are_not_told_the_trace_unless_named(host: str) -> None:
    assert not HostPatterns().allow(host, None)
    assert HostPatterns([host]).allow(host, None)

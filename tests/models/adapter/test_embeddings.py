"""Vectors of texts, from every provider that has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import ModelError, ModelMissing, ModelRateLimited
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients import Endpoint, ProviderClient
from orchestrator.models.messages import Embeddings, ModelName
from tests.models.adapter.wire import Answer, Server

pytestmark = pytest.mark.anyio

ROWS = [{"object": "embedding", "index": n, "embedding": [0.5, n]} for n in range(2)]
OPENAI = {"object": "list", "data": ROWS, "model": "said", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
PLAIN = [[0.5, 0], [0.5, 1]]

# provider, model, path of the address, where it must have come in, answer, tokens
CASES: dict[str, tuple[str, str, str, Any, int]] = {
    "openai": ("text-embedding-3-small", "/v1", "/v1/embeddings", OPENAI, 8),
    "vllm": ("bge", "/v1", "/v1/embeddings", OPENAI, 8),
    "ollama": ("nomic-embed-text", "/v1", "/v1/embeddings", OPENAI, 8),
    "mistral": ("mistral-embed", "", "/v1/embeddings", OPENAI, 8),
    "google": (
        "gemini-embedding-001",
        "",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        {"embeddings": [{"values": row} for row in PLAIN]},
        0,
    ),
    "huggingface": ("BAAI/bge-m3", "/v1", "/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction", PLAIN, 0),
}


async def embed(provider: str, server: Server, texts: list[str]) -> Embeddings:
    model, path, *_ = CASES.get(provider, ("m", ""))
    client = ProviderClient(lambda _: Endpoint(PROVIDERS[provider], server.url + path, "a key"))
    try:
        return await client.embed(ModelName(provider, model), texts)
    finally:
        await client.aclose()


@pytest.mark.parametrize("provider", CASES)
async def test_every_text_has_a_vector(provider: str) -> None:
    *_, path, answer, tokens = CASES[provider]
    async with Server(Answer(json.dumps(answer).encode())) as server:
        found = await embed(provider, server, ["one", "two"])
    assert found.vectors == ((0.5, 0.0), (0.5, 1.0))
    assert (found.usage.input, found.usage.requests) == (tokens, 1)
    assert server.asked[0].path.partition("?")[0] == path
    assert "two" in server.asked[0].body.decode()
    assert "a key" in json.dumps(server.asked[0].headers)


@pytest.mark.parametrize("provider", CASES)
async def test_a_429_is_a_rate_limit_here_too(provider: str) -> None:
    body = json.dumps({"error": {"message": "slow down", "status": "RESOURCE_EXHAUSTED"}}).encode()
    async with Server(Answer(body, status=429, headers={"retry-after": "7"})) as server:
        with pytest.raises(ModelRateLimited, match="slow down") as caught:
            await embed(provider, server, ["one", "two"])
    assert caught.value.retry_after == 7
    assert len(server.asked) == 1


@pytest.mark.parametrize("provider", ["anthropic", "groq"])
async def test_some_providers_have_none(provider: str) -> None:
    async with Server(Answer()) as server:
        with pytest.raises(ModelMissing, match="has no embeddings"):
            await embed(provider, server, ["one"])


async def test_a_vector_too_few_is_an_error() -> None:
    async with Server(Answer(json.dumps(OPENAI).encode())) as server:
        with pytest.raises(ModelError, match="gave 2 vectors for 3 texts"):
            await embed("vllm", server, ["one", "two", "three"])


async def test_many_texts_are_sent_in_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.models.clients.protocols.openai.TEXTS_AT_ONCE", 2)
    async with Server(Answer(json.dumps(OPENAI).encode())) as server:
        found = await embed("vllm", server, ["one", "two", "three", "four"])
    assert len(found.vectors) == 4
    assert (found.usage.input, found.usage.requests) == (16, 2)
    assert [asked.data["input"] for asked in server.asked] == [["one", "two"], ["three", "four"]]


async def test_no_texts_need_no_request() -> None:
    async with Server(Answer()) as server:
        found = await embed("vllm", server, [])
    assert (found.vectors, server.asked) == ((), [])

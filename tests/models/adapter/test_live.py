"""The providers themselves, where the environment has a key: each test costs far less than a cent."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from orchestrator.errors import ModelMissing
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.clients import ProviderClient, endpoint_of
from orchestrator.models.messages import Message, ModelName, ModelRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

MODELS = {
    "openai": "gpt-4.1-nano",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash-lite",
    "huggingface": "Qwen/Qwen3-8B",
    "mistral": "ministral-8b-latest",
    "groq": "llama-3.1-8b-instant",
    "bedrock": "amazon.nova-micro-v1:0",
    "ollama": os.environ.get("ORCHESTRATOR_TEST_OLLAMA", "llama3.2"),
}
KEYS = Keys(Path(__file__).with_name("no such file"))
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string"}},
    "required": ["capital"],
    "additionalProperties": False,
}


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> ModelName:
    found = ModelName(request.param, MODELS[request.param])
    try:
        endpoint = endpoint_of(found, keys=KEYS)
    except ModelMissing as reason:
        pytest.skip(reason.message)
    if found.provider == "bedrock" and endpoint.key is None and KEYS.find(endpoint.provider) is None:
        pytest.skip("no credentials of Amazon")
    if endpoint.provider.free and not _listens(endpoint.base_url):
        pytest.skip(f"no server runs at {endpoint.base_url}")
    return found


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[ProviderClient]:
    one = ProviderClient(lambda name: endpoint_of(name, keys=KEYS))
    yield one
    await one.aclose()


async def test_it_answers(name: ModelName, client: ProviderClient) -> None:
    pieces: list[str] = []
    request = ModelRequest(
        (Message("user", "What is the capital of France? Answer with its name alone."),), max_tokens=200
    )
    whole = await client.ask(name, request)
    streamed = await client.ask(name, request, on_text=pieces.append)
    assert "Paris" in whole.text
    assert "Paris" in streamed.text
    assert "".join(pieces) == streamed.text
    assert whole.usage.input > 0
    assert streamed.usage.output > 0


async def test_it_answers_in_a_form(name: ModelName, client: ProviderClient) -> None:
    request = ModelRequest((Message("user", "What is the capital of France?"),), schema=SCHEMA, max_tokens=200)
    assert (await client.ask(name, request)).data == {"capital": "Paris"}


def _listens(address: str) -> bool:
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1).close()
    except OSError:
        return False
    return True

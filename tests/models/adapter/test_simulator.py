"""The protocols as a simulator speaks them that others keep: text, streams, tools, forms, vectors, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import ModelError, ModelRateLimited, ModelUnavailable
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients import Endpoint, ProviderClient
from orchestrator.models.messages import Message, ModelName, ModelRequest, ToolOffer, ToolRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

# provider, model, path, api
SIMULATED: dict[str, tuple[str, str, str, Any]] = {
    "openai": ("openai", "gpt-5-mini", "/v1", "responses"),
    "openai-chat": ("openai", "gpt-4.1-mini", "/v1", "chat"),
    "anthropic": ("anthropic", "claude-haiku-4-5", "", None),
    "google": ("google", "gemini-2.5-flash", "", None),
    "ollama": ("ollama", "llama3.2", "/v1", None),
    "vllm": ("vllm", "tiny", "/v1", None),
}
WEATHER = ToolOffer(
    "get_weather",
    "Return the weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "number"}},
    "required": ["title", "score"],
}


def asking(text: str, **more: Any) -> ModelRequest:
    return ModelRequest((Message("user", text),), system="Be short.", max_tokens=500, **more)


class Asker:
    """Asks one simulated provider."""

    def __init__(self, case: str, url: str) -> None:
        provider, model, path, api = SIMULATED[case]
        endpoint = Endpoint(PROVIDERS[provider], url + path, "a key", api)
        self.case, self.name = case, ModelName(provider, model)
        self.client = ProviderClient(lambda _: endpoint)
        self.pieces: list[str] = []

    async def ask(self, request: ModelRequest, *, streams: bool = False) -> Any:
        return await self.client.ask(self.name, request, on_text=self.pieces.append if streams else None)


@pytest.fixture(params=SIMULATED)
async def asker(request: pytest.FixtureRequest, simulator: str, anyio_backend: str) -> AsyncIterator[Asker]:
    one = Asker(request.param, simulator)
    yield one
    await one.client.aclose()


@pytest.mark.parametrize("streams", [False, True])
async def test_text(asker: Asker, streams: bool) -> None:
    reply = await asker.ask(asking("What is the capital of France?"), streams=streams)
    assert (reply.text, reply.finish) == ("The capital of France is Paris.", "stop")
    assert (reply.usage.input, reply.usage.output) == (21, 9)
    assert "".join(asker.pieces) == ("The capital of France is Paris." if streams else "")
    assert len(asker.pieces) > 1 if streams else not asker.pieces


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason")  # Gemini says STOP here
@pytest.mark.parametrize("streams", [False, True])
async def test_tools(asker: Asker, streams: bool) -> None:
    request = asking("What is the weather?", tools=(WEATHER,))
    reply = await asker.ask(request, streams=streams)
    (wanted,) = reply.requests
    assert (wanted.name, wanted.arguments, reply.finish) == ("get_weather", {"city": "Oslo"}, "tools")
    asked = Message("assistant", requests=(ToolRequest(wanted.id, wanted.name, wanted.arguments),))
    told = Message("tool", "3 degrees", request_id=wanted.id, name=wanted.name)
    reply = await asker.ask(replace(request, messages=(*request.messages, asked, told)), streams=streams)
    assert (reply.text, reply.requests, reply.finish) == ("It is 3 degrees in Oslo.", (), "stop")


@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_in_a_form(asker: Asker, streams: bool) -> None:
    reply = await asker.ask(asking("Say it as data.", schema=SCHEMA), streams=streams)
    assert reply.data == {"title": "Paris", "score": 0.5}


async def test_a_429(asker: Asker) -> None:
    with pytest.raises(ModelRateLimited, match="slow down") as caught:
        await asker.ask(asking("Do I ask too often?"))
    assert caught.value.status == 429


@pytest.mark.parametrize("streams", [False, True])
async def test_a_500(asker: Asker, streams: bool) -> None:
    with pytest.raises(ModelUnavailable, match="I am") as caught:
        await asker.ask(asking("Or are you ill?"), streams=streams)
    assert caught.value.status == 500


async def test_a_stream_that_breaks_off(asker: Asker) -> None:
    with pytest.raises(ModelUnavailable):
        await asker.ask(asking("Will you break off?"), streams=True)


async def test_an_answer_that_is_garbled(asker: Asker) -> None:
    with pytest.raises(ModelError) as caught:
        await asker.ask(asking("Was it garbled?"))
    assert caught.value.retryable


async def test_vectors(simulator: str) -> None:
    for case in ("openai", "ollama"):
        asker = Asker(case, simulator)
        found = await asker.client.embed(asker.name, ["the sun", "the sun again"])
        await asker.client.aclose()
        assert found.vectors == ((0.5, 0.25, -1.0), (0.5, 0.25, -1.0))
        assert found.usage.requests == 1

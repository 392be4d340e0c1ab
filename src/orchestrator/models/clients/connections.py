"""One connection to each endpoint: its SDK's client, built once and without retries, and the models behind it.

Imported with the first call only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
from msgspec import Struct, field
from pydantic_ai.embeddings.base import EmbeddingModel
from pydantic_ai.models import Model

from orchestrator.errors import ModelMissing
from orchestrator.models.clients.endpoints import Endpoint, missing_extra
from orchestrator.models.clients.transport import CONNECT, READ, http_client, old_http_client

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from pydantic_ai.profiles.openai import OpenAIModelProfile

OPENAI = "https://api.openai.com/v1"


class Connection(Struct):
    """The models at one endpoint. `make` builds a model by its name; the second argument asks for OpenAI's chat API.

    Calls are made within `during`.
    """

    endpoint: Endpoint
    make: Callable[[str, bool], Model[Any]]
    make_embedding: Callable[[str], EmbeddingModel] | None
    close: Callable[[], Awaitable[None]]
    http: httpx2.AsyncClient | None = None
    during: Callable[[], AbstractContextManager[None]] = nullcontext
    models: dict[tuple[str, bool], Model[Any]] = field(default_factory=dict)

    def model(self, name: str, *, chat: bool) -> Model[Any]:
        """Return a model; `chat` asks for the Chat Completions API where another one would be taken."""
        if (name, chat) not in self.models:
            self.models[name, chat] = self.make(name, chat)
        return self.models[name, chat]


def connect(endpoint: Endpoint) -> Connection:
    """Load what an endpoint needs and build its client. Takes a second the first time; raises MissingExtra."""
    provider = endpoint.provider
    if (missing := missing_extra(provider)) is not None:
        raise missing
    if provider.kind not in _CONNECT:
        raise ModelMissing(f"models of {provider.title} are not called over a network", provider=provider.name)
    return _CONNECT[provider.kind](endpoint)


def _openai_client(endpoint: Endpoint, http: httpx2.AsyncClient) -> AsyncOpenAI:
    from orchestrator.models.clients.openai import PlainOpenAI

    # A custom server can work without a key, but the SDK cannot.
    key = endpoint.key or "none"
    base_url = endpoint.base_url or OPENAI
    return PlainOpenAI(api_key=key, base_url=base_url, http_client=http, max_retries=0, timeout=READ)


def _openai(endpoint: Endpoint) -> Connection:
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    http = http_client()
    client = _openai_client(endpoint, http)
    own = not endpoint.base_url
    api = endpoint.api or ("responses" if own else "chat")
    provider: OpenAIProvider | OpenAICompatibleProvider
    if own or api == "responses":
        provider = OpenAIProvider(openai_client=client)
    else:
        provider = OpenAICompatibleProvider(endpoint.provider.name, openai_client=client, profile=_profile_of_servers())

    def make(name: str, chat: bool) -> Model[Any]:
        if api == "responses" and not chat:
            return OpenAIResponsesModel(name, provider=provider)
        return OpenAIChatModel(name, provider=provider)

    return Connection(endpoint, make, lambda name: OpenAIEmbeddingModel(name, provider=provider), http.aclose, http)


def _profile_of_servers() -> OpenAIModelProfile:
    """Return what servers that are compatible with OpenAI have in common.

    Most hold an answer to a JSON Schema; some ignore it silently, so the schema is said in words too.
    """
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        native_output_requires_schema_in_instructions=True,
        openai_supports_strict_tool_definition=False,
        openai_chat_supports_max_completion_tokens=False,
        openai_chat_streaming_requires_finish_reason=True,
    )


def _whole_streams() -> OpenAIModelProfile:
    """Return what holds of all who speak this protocol: a stream without a reason for its end was cut off."""
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)


def _huggingface(endpoint: Endpoint) -> Connection:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    http = http_client()
    provider = OpenAICompatibleProvider(
        "huggingface", openai_client=_openai_client(endpoint, http), profile=_profile_of_servers()
    )
    return Connection(endpoint, lambda name, _: OpenAIChatModel(name, provider=provider), None, http.aclose, http)


def _ollama(endpoint: Endpoint) -> Connection:
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    http = http_client()
    provider = OllamaProvider(openai_client=_openai_client(endpoint, http))

    def make(name: str, _: bool) -> Model[Any]:
        # A profile of ours would hide that Ollama's cloud ignores schemas.
        in_cloud = name.endswith("-cloud") or "ollama.com" in endpoint.base_url
        return OllamaModel(name, provider=provider, profile=None if in_cloud else _whole_streams())

    return Connection(
        endpoint,
        make,
        lambda name: OpenAIEmbeddingModel(name, provider=provider),
        http.aclose,
        http,
    )


def _anthropic(endpoint: Endpoint) -> Connection:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    http = http_client()
    client = AsyncAnthropic(
        api_key=endpoint.key, base_url=endpoint.base_url or None, http_client=http, max_retries=0, timeout=READ
    )
    provider = AnthropicProvider(anthropic_client=client)
    return Connection(endpoint, lambda name, _: AnthropicModel(name, provider=provider), None, http.aclose, http)


def _google(endpoint: Endpoint) -> Connection:
    from google.genai.types import HttpRetryOptions
    from pydantic_ai.embeddings.google import GoogleEmbeddingModel
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    http = http_client()
    provider = GoogleProvider(
        api_key=endpoint.key,
        base_url=endpoint.base_url or None,
        http_client=http,
        retry_options=HttpRetryOptions(attempts=1),
    )
    return Connection(
        endpoint,
        lambda name, _: GoogleModel(name, provider=provider),
        lambda name: GoogleEmbeddingModel(name, provider=provider),
        http.aclose,
        http,
    )


def _mistral(endpoint: Endpoint) -> Connection:
    from mistralai.client import Mistral
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    http = http_client()
    client = Mistral(api_key=endpoint.key, server_url=endpoint.base_url or None, async_client=http, retry_config=None)
    provider = MistralProvider(mistral_client=client)
    return Connection(endpoint, lambda name, _: MistralModel(name, provider=provider), None, http.aclose, http)


def _groq(endpoint: Endpoint) -> Connection:
    from groq import AsyncGroq
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    http = old_http_client()  # the one SDK that still builds on it
    client = AsyncGroq(
        api_key=endpoint.key, base_url=endpoint.base_url or None, http_client=http, max_retries=0, timeout=READ
    )
    provider = GroqProvider(groq_client=client)
    return Connection(endpoint, lambda name, _: GroqModel(name, provider=provider), None, http.aclose)


def _bedrock(endpoint: Endpoint) -> Connection:
    from pydantic_ai.embeddings.bedrock import BedrockEmbeddingModel
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    from orchestrator.models.clients import bedrock

    client = bedrock.runtime_client(endpoint.key, endpoint.base_url or None, connect=CONNECT, read=READ)
    provider = BedrockProvider(bedrock_client=client)
    return Connection(
        endpoint,
        lambda name, _: BedrockConverseModel(name, provider=provider),
        lambda name: BedrockEmbeddingModel(name, provider=provider),
        partial(bedrock.close, client),
        during=bedrock.hanging_up,
    )


_CONNECT: dict[str, Callable[[Endpoint], Connection]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "huggingface": _huggingface,
    "ollama": _ollama,
    "mistral": _mistral,
    "groq": _groq,
    "bedrock": _bedrock,
}

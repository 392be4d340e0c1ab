"""Hugging Face's router: OpenAI's Chat Completions API, and embeddings of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import posted
from orchestrator.models.clients.protocols.openai import client_of, profile_of_servers
from orchestrator.models.clients.transport import http_client
from orchestrator.models.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    http = http_client()
    provider = OpenAICompatibleProvider(
        "huggingface", openai_client=client_of(endpoint, http), profile=profile_of_servers()
    )

    async def vectors(model: str, texts: list[str]) -> tuple[Sequence[Sequence[float]], Usage, str]:
        root = endpoint.base_url.removesuffix("/v1")
        address = f"{root}/hf-inference/models/{model}/pipeline/feature-extraction"
        return await posted(http, endpoint, address, model, {"inputs": texts}), Usage(requests=1), model

    return Connection(endpoint, lambda name, _: OpenAIChatModel(name, provider=provider), http.aclose, vectors)

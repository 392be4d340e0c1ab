"""Ollama's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import by_model
from orchestrator.models.clients.protocols.openai import client_of, whole_streams
from orchestrator.models.clients.transport import http_client

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    http = http_client()
    provider = OllamaProvider(openai_client=client_of(endpoint, http))

    def make(name: str, _: bool) -> Model[Any]:
        # A profile of ours would hide that Ollama's cloud ignores schemas.
        in_cloud = name.endswith("-cloud") or "ollama.com" in endpoint.base_url
        return OllamaModel(name, provider=provider, profile=None if in_cloud else whole_streams())

    return Connection(
        endpoint,
        make,
        http.aclose,
        by_model(lambda name: OpenAIEmbeddingModel(name, provider=provider)),
        texts_at_once=500,
    )

"""Google's Gemini API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import by_model
from orchestrator.models.clients.media.google import GoogleMedia
from orchestrator.models.clients.transport import http_client

if TYPE_CHECKING:
    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
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
        http.aclose,
        by_model(lambda name: GoogleEmbeddingModel(name, provider=provider)),
        GoogleMedia(endpoint, http),
    )

"""Groq's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.transport import READ, old_http_client

if TYPE_CHECKING:
    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from groq import AsyncGroq
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    http = old_http_client()  # the one SDK that still builds on it
    client = AsyncGroq(
        api_key=endpoint.key, base_url=endpoint.base_url or None, http_client=http, max_retries=0, timeout=READ
    )
    provider = GroqProvider(groq_client=client)
    return Connection(endpoint, lambda name, _: GroqModel(name, provider=provider), http.aclose)

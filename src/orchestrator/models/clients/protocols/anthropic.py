"""Anthropic's Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.transport import READ, http_client

if TYPE_CHECKING:
    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    http = http_client()
    client = AsyncAnthropic(
        api_key=endpoint.key, base_url=endpoint.base_url or None, http_client=http, max_retries=0, timeout=READ
    )
    provider = AnthropicProvider(anthropic_client=client)
    return Connection(endpoint, lambda name, _: AnthropicModel(name, provider=provider), http.aclose)

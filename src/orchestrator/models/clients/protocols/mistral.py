"""Mistral's API; Pydantic AI has no embeddings of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import posted
from orchestrator.models.clients.translation import count
from orchestrator.models.clients.transport import http_client
from orchestrator.models.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from mistralai.client import Mistral
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    http = http_client()
    client = Mistral(api_key=endpoint.key, server_url=endpoint.base_url or None, async_client=http, retry_config=None)
    provider = MistralProvider(mistral_client=client)

    async def vectors(model: str, texts: list[str]) -> tuple[Sequence[Sequence[float]], Usage, str]:
        address, body = f"{endpoint.base_url}/v1/embeddings", {"model": model, "input": texts}
        answer = await posted(http, endpoint, address, model, body)
        used = (answer.get("usage") or {}).get("prompt_tokens")
        return [row["embedding"] for row in answer["data"]], Usage(input=count(used), requests=1), model

    return Connection(endpoint, lambda name, _: MistralModel(name, provider=provider), http.aclose, vectors)

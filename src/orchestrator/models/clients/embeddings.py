"""Vectors of texts, in as many requests as a provider needs for them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pydantic_core
from pydantic_ai.exceptions import ModelHTTPError

from orchestrator.errors import ModelError
from orchestrator.models.clients.errors import no_embeddings
from orchestrator.models.clients.translation import count
from orchestrator.models.messages import Embeddings, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx2
    from pydantic_ai.embeddings.base import EmbeddingModel

    from orchestrator.models.clients.connections import Connection, Vectors
    from orchestrator.models.clients.endpoints import Endpoint
    from orchestrator.models.messages import ModelName


async def embed(connection: Connection, name: ModelName, texts: Sequence[str]) -> Embeddings:
    """Return the vectors of some texts, in their order."""
    began = time.perf_counter()
    if connection.vectors is None:
        raise no_embeddings(name, connection.endpoint)
    vectors: list[tuple[float, ...]] = []
    usage, model = Usage(), name.model
    at_once = connection.texts_at_once
    for start in range(0, len(texts), at_once):
        some = list(texts[start : start + at_once])
        found, used, model = await connection.vectors(name.model, some)
        if len(found) != len(some):
            raise ModelError(
                f"`{name}` gave {len(found)} vectors for {len(some)} texts", provider=name.provider, model=name.model
            )
        vectors += (tuple(vector) for vector in found)
        usage += used
    return Embeddings(tuple(vectors), usage, model, time.perf_counter() - began)


def by_model(make: Callable[[str], EmbeddingModel]) -> Vectors:
    """Return the vectors of a provider that Pydantic AI has embeddings of; `make` builds its models by their names."""

    async def vectors(model: str, texts: list[str]) -> tuple[Sequence[Sequence[float]], Usage, str]:
        result = await make(model).embed(texts, input_type="document")
        return result.embeddings, Usage(input=count(result.usage.input_tokens), requests=1), result.model_name

    return vectors


async def posted(
    http: httpx2.AsyncClient, endpoint: Endpoint, address: str, model: str, body: Mapping[str, object]
) -> Any:
    """Return the JSON data that a provider answers to a request by hand."""
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    response = await http.post(address, json=body, headers=headers)
    if response.is_error:
        try:
            said: object = response.json()
        except json.JSONDecodeError:
            said = response.text
        raise ModelHTTPError(response.status_code, model, said, headers=dict(response.headers))
    return pydantic_core.from_json(response.content)

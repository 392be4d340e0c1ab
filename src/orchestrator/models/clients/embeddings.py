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
    from collections.abc import Mapping, Sequence

    from orchestrator.models.clients.connections import Connection
    from orchestrator.models.messages import ModelName

AT_ONCE = {"openai": 1000, "google": 100, "ollama": 500, "mistral": 100, "huggingface": 100, "bedrock": 96}
"""How many texts are sent in one request, by kind: below what each provider takes."""


async def embed(connection: Connection, name: ModelName, texts: Sequence[str]) -> Embeddings:
    """Return the vectors of some texts, in their order."""
    began = time.perf_counter()
    kind = connection.endpoint.provider.kind
    if kind not in AT_ONCE:
        raise no_embeddings(name, connection.endpoint)
    vectors: list[tuple[float, ...]] = []
    usage, model = Usage(), name.model
    for start in range(0, len(texts), AT_ONCE[kind]):
        some = list(texts[start : start + AT_ONCE[kind]])
        found, used, model = await _some(connection, name.model, some)
        if len(found) != len(some):
            raise ModelError(
                f"`{name}` gave {len(found)} vectors for {len(some)} texts", provider=name.provider, model=name.model
            )
        vectors += (tuple(vector) for vector in found)
        usage += used
    return Embeddings(tuple(vectors), usage, model, time.perf_counter() - began)


async def _some(connection: Connection, model: str, texts: list[str]) -> tuple[Sequence[Sequence[float]], Usage, str]:
    if connection.make_embedding is None:
        return await _by_hand(connection, model, texts)
    result = await connection.make_embedding(model).embed(texts, input_type="document")
    return result.embeddings, Usage(input=count(result.usage.input_tokens), requests=1), result.model_name


async def _by_hand(
    connection: Connection, model: str, texts: list[str]
) -> tuple[Sequence[Sequence[float]], Usage, str]:
    """Ask a provider that Pydantic AI has no embeddings of."""
    endpoint = connection.endpoint
    if endpoint.provider.kind == "mistral":
        address, body = f"{endpoint.base_url}/v1/embeddings", {"model": model, "input": texts}
        answer = await _post(connection, address, model, body)
        used = answer.get("usage") or {}
        return (
            [row["embedding"] for row in answer["data"]],
            Usage(input=count(used.get("prompt_tokens")), requests=1),
            model,
        )
    root = endpoint.base_url.removesuffix("/v1")
    address = f"{root}/hf-inference/models/{model}/pipeline/feature-extraction"
    return await _post(connection, address, model, {"inputs": texts}), Usage(requests=1), model


async def _post(connection: Connection, address: str, model: str, body: Mapping[str, object]) -> Any:
    http = connection.http
    if http is None:
        raise TypeError(f"{connection.endpoint.provider.kind} has its own client")
    headers = {"Authorization": f"Bearer {connection.endpoint.key}"} if connection.endpoint.key else {}
    response = await http.post(address, json=body, headers=headers)
    if response.is_error:
        try:
            said: object = response.json()
        except json.JSONDecodeError:
            said = response.text
        raise ModelHTTPError(response.status_code, model, said, headers=dict(response.headers))
    return pydantic_core.from_json(response.content)

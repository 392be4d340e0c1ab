"""The client that most runs use: local weights, or providers over the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.models.clients import ProviderClient, endpoint_of
from orchestrator.models.media import not_made

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.clients import Endpoint
    from orchestrator.models.clients.local import LocalClient
    from orchestrator.models.media import MediaReply, MediaRequest
    from orchestrator.models.messages import Embeddings, ModelClient, ModelName, ModelReply, ModelRequest


def provider_client(catalogue: Catalogue, keys: Keys, directory: Path = Path()) -> RoutingClient:
    """Return the client for the providers and servers of a catalogue; weights are in folders below `directory`."""
    return RoutingClient(lambda name: endpoint_of(name, catalogue.providers, keys), directory)


class RoutingClient:
    """A `ModelClient` for every model; `find` returns the endpoint. Clients are created with the first call."""

    def __init__(self, find: Callable[[ModelName], Endpoint], directory: Path = Path()) -> None:
        self._find = find
        self._directory = directory
        self._local: LocalClient | None = None
        self._providers: ProviderClient | None = None

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the answer to one request; see `orchestrator.models.messages.ModelClient`."""
        return await self._client(name).ask(name, request, on_text=on_text)

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of some texts."""
        return await self._client(name).embed(name, texts)

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return pictures, speech or a transcript."""
        make = getattr(self._client(name), "make", None)
        if make is None:
            raise not_made(name)
        reply: MediaReply = await make(name, request)
        return reply

    async def aclose(self) -> None:
        """Close all connections, and forget all weights."""
        providers, self._providers = self._providers, None
        local, self._local = self._local, None
        if local is not None:
            await local.aclose()
        if providers is not None:
            await providers.aclose()

    def _client(self, name: ModelName) -> ModelClient:
        if name.provider == "transformers":
            if self._local is None:
                from orchestrator.models.clients.local import LocalClient

                self._local = LocalClient(self._directory)
            return self._local
        if self._providers is None:
            self._providers = ProviderClient(self._find)
        return self._providers

"""The protocols in which providers are called: a module for each, imported with the first call that needs it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ModelMissing
from orchestrator.models.clients.endpoints import missing_extra

if TYPE_CHECKING:
    from orchestrator.models.clients.connections import Connection
    from orchestrator.models.clients.endpoints import Endpoint

PROTOCOLS: Final = ("anthropic", "bedrock", "google", "groq", "huggingface", "mistral", "ollama", "openai")
"""The modules here, each named after the kind of providers that it connects to by its `connect`."""


def connect(endpoint: Endpoint) -> Connection:
    """Load what an endpoint needs and make its client. Takes a second the first time.

    Raises:
        MissingExtra: The packages of its protocol are not installed.
        ModelMissing: Its provider is not called over a network.
    """
    provider = endpoint.provider
    if (missing := missing_extra(provider)) is not None:
        raise missing
    if provider.kind not in PROTOCOLS:
        raise ModelMissing(f"models of {provider.title} are not called over a network", provider=provider.name)
    connection: Connection = import_module(f"{__name__}.{provider.kind}").connect(endpoint)
    return connection

"""Speaks to providers of models: the only package that imports Pydantic AI and the SDKs, and late at that."""

from orchestrator.models.clients.endpoints import Endpoint, endpoint_of, missing_extra
from orchestrator.models.clients.network import ProviderClient

__all__ = ["Endpoint", "ProviderClient", "endpoint_of", "missing_extra"]

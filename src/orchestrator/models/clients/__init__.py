"""Speaks to providers of models: the only package that imports Pydantic AI and the SDKs, and late at that."""

from orchestrator.models.adapter.client import ProviderClient
from orchestrator.models.adapter.endpoints import Endpoint, endpoint_of, missing_extra

__all__ = ["Endpoint", "ProviderClient", "endpoint_of", "missing_extra"]

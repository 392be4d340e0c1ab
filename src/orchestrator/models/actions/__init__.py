"""The tool `model`: what a pipeline may ask models for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.tools.registry import Registry

if TYPE_CHECKING:
    from orchestrator.tools.contract import Tool


def model_tools() -> Registry:
    """Return a registry with the tool `model`, which is made when it is first asked for."""
    return Registry(loaders={"model": _model})


def _model() -> Tool:
    from orchestrator.models.actions.tool import MODEL

    return MODEL

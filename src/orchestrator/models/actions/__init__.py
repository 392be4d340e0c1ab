"""The tool `model`: what a pipeline may ask models for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.tools.contract import Tool
    from orchestrator.tools.registry import Registry


def model_tools() -> Registry:
    """Return a registry with the tool `model`, which is made when it is first asked for."""
    from orchestrator.tools.registry import Registry

    return Registry(loaders={"model": _model})


def _model() -> Tool:
    from orchestrator.models.actions.tool import MODEL

    return MODEL

"""What a pipeline may ask models for: the tools `model`, `image` and `audio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.tools.contract import Tool
    from orchestrator.tools.registry import Registry


def model_tools() -> Registry:
    """Return a registry with the tools that call models; each is made when it is first asked for."""
    from orchestrator.tools.registry import Registry

    return Registry(loaders={"model": _model, "image": _image, "audio": _audio})


def _model() -> Tool:
    from orchestrator.models.actions.tool import MODEL

    return MODEL


def _image() -> Tool:
    from orchestrator.models.actions.image import IMAGE

    return IMAGE


def _audio() -> Tool:
    from orchestrator.models.actions.audio import AUDIO

    return AUDIO

"""Compiles a spec, with the registries of tools and models, to a plan or to all diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.compiler.compilation import Compilation, compile_pipeline

__all__ = ["Compilation", "compile_pipeline"]

__getattr__ = lazy_exports(__name__, {"Compilation": "compilation", "compile_pipeline": "compilation"})

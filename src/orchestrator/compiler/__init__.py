"""Compiles a spec, with the registries of tools and models, to a plan or to all diagnostics."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.compiler.compilation": (
        "Compilation",
        "compile_pipeline",
    ),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)

"""The pipeline language: YAML text becomes a `Document` with a checked `spec` and a diagnostic for every error."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.language.document": (
        "Document",
        "read_document",
        "read_document_text",
    ),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)

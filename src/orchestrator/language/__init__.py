"""The pipeline language: YAML text becomes a `Document` with a checked `spec` and a diagnostic for every error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.language.document import Document, read_document, read_document_text

__all__ = ["Document", "read_document", "read_document_text"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Document": "document",
        "read_document": "document",
        "read_document_text": "document",
    },
)

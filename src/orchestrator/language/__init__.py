"""The pipeline language: YAML text becomes a `Document` with a checked `spec` and a diagnostic for every error."""

from orchestrator.language.document import Document, read_document, read_document_text

__all__ = ["Document", "read_document", "read_document_text"]

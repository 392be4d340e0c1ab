"""The pipeline language: YAML text becomes a `Document` with a checked `spec`, and every mistake a diagnostic."""

from orchestrator.language.document import Document, read, read_text

__all__ = ["Document", "read", "read_text"]

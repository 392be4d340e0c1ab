"""Diagnostics: the problems of a pipeline, their places and fixes, for people and programs."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.diagnostics.code_table": (
        "CODES",
        "Code",
    ),
    "orchestrator.diagnostics.formats": (
        "diagnostics_json",
        "sort_diagnostics",
        "to_github",
        "to_sarif",
    ),
    "orchestrator.diagnostics.missing_access": (
        "ACCESS",
        "access_last",
    ),
    "orchestrator.diagnostics.model": (
        "Diagnostic",
        "Fix",
        "MAX_DIAGNOSTICS",
        "Position",
        "Related",
        "Severity",
        "Source",
        "SourceSpan",
        "Span",
        "source_of_span",
    ),
    "orchestrator.diagnostics.render": (
        "count_summary",
        "render_text",
    ),
    "orchestrator.diagnostics.suggestions": (
        "Vocabulary",
        "bounded_suggestions",
        "suggest",
    ),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)

"""Diagnostics: the problems of a pipeline, their places and fixes, for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.diagnostics.code_table import CODES, Code
    from orchestrator.diagnostics.formats import diagnostics_json, sort_diagnostics, to_github, to_sarif
    from orchestrator.diagnostics.missing_access import ACCESS, access_last
    from orchestrator.diagnostics.model import (
        MAX_DIAGNOSTICS,
        Diagnostic,
        Fix,
        Position,
        Related,
        Severity,
        Source,
        Span,
    )
    from orchestrator.diagnostics.render import count_summary, render_text
    from orchestrator.diagnostics.suggestions import Vocabulary, bounded_suggestions, suggest

__all__ = [
    "ACCESS",
    "CODES",
    "MAX_DIAGNOSTICS",
    "Code",
    "Diagnostic",
    "Fix",
    "Position",
    "Related",
    "Severity",
    "Source",
    "Span",
    "Vocabulary",
    "access_last",
    "bounded_suggestions",
    "count_summary",
    "diagnostics_json",
    "render_text",
    "sort_diagnostics",
    "suggest",
    "to_github",
    "to_sarif",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ACCESS": "missing_access",
        "CODES": "code_table",
        "Code": "code_table",
        "Diagnostic": "model",
        "Fix": "model",
        "MAX_DIAGNOSTICS": "model",
        "Position": "model",
        "Related": "model",
        "Severity": "model",
        "Source": "model",
        "Span": "model",
        "Vocabulary": "suggestions",
        "access_last": "missing_access",
        "bounded_suggestions": "suggestions",
        "count_summary": "render",
        "diagnostics_json": "formats",
        "render_text": "render",
        "sort_diagnostics": "formats",
        "suggest": "suggestions",
        "to_github": "formats",
        "to_sarif": "formats",
    },
)

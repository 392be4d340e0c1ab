"""Diagnostics: the problems of a pipeline, their places and fixes, for people and programs."""

from orchestrator.diagnostics.code_table import CODES, Code
from orchestrator.diagnostics.formats import diagnostics_json, sort_diagnostics, to_github, to_sarif
from orchestrator.diagnostics.missing_access import ACCESS, access_last
from orchestrator.diagnostics.model import MAX_DIAGNOSTICS, Diagnostic, Fix, Position, Related, Severity, Source, Span
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

"""Diagnostics: what is wrong with a pipeline, where, and how to mend it, for people and for programs."""

from orchestrator.diagnostics.code_table import CODES, Code
from orchestrator.diagnostics.formats import sort, to_github, to_json, to_sarif
from orchestrator.diagnostics.missing_access import ACCESS, access_last
from orchestrator.diagnostics.model import MAX_DIAGNOSTICS, Diagnostic, Fix, Position, Related, Severity, Source, Span
from orchestrator.diagnostics.render import render_text, summary
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
    "render_text",
    "sort",
    "suggest",
    "summary",
    "to_github",
    "to_json",
    "to_sarif",
]

"""Diagnostics for programs: JSON, GitHub workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

from operator import attrgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator.diagnostics.code_table import CODES
from orchestrator.diagnostics.missing_access import access_last
from orchestrator.remedies import advice, call_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.diagnostics.model import Diagnostic, Fix, Span
    from orchestrator.remedies import Remedy

    Render = Callable[[Remedy], str]

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


_sort_key = attrgetter("sort_key")


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics in the order of the file, without duplicates; missing keys and packages come last."""
    unique: list[Diagnostic] = []
    place: tuple[object, ...] = ()
    said: set[str] = set()
    for diagnostic in sorted(diagnostics, key=_sort_key):
        if (here := diagnostic.sort_key) != place:
            place, said = here, set()
        if diagnostic.message not in said:
            said.add(diagnostic.message)
            unique.append(diagnostic)
    return access_last(unique)


def diagnostics_json(diagnostics: Iterable[Diagnostic], *, render: Render = call_of) -> dict[str, Any]:
    """Return diagnostics as JSON data. `ok` is true when none is an error. Lines and columns count from 1.

    `remedies` are data, and are also written into `help`, as `render` has them: by default for Python.
    """
    diagnostics = list(diagnostics)
    return {
        "diagnostics": [_entry(diagnostic, render) for diagnostic in diagnostics],
        "ok": all(diagnostic.severity != "error" for diagnostic in diagnostics),
    }


def to_github(diagnostics: Iterable[Diagnostic], *, render: Render = call_of) -> str:
    """Return one GitHub workflow command per line, which annotate the file in the log of a workflow."""
    return "\n".join(_workflow_command(diagnostic, render) for diagnostic in diagnostics)


def to_sarif(diagnostics: Iterable[Diagnostic], *, render: Render = call_of) -> dict[str, Any]:
    """Return diagnostics as a SARIF 2.1.0 log, for code scanning services. Columns are code points."""
    entries = list(CODES.values())
    index = {entry.code: number for number, entry in enumerate(entries)}
    rules = [
        {
            "id": entry.code,
            "name": "".join(word.capitalize() for word in entry.title.split()),
            "shortDescription": {"text": entry.title},
            "fullDescription": {"text": entry.explanation},
            "defaultConfiguration": {"level": entry.severity},
        }
        for entry in entries
    ]
    results = [_sarif_result(diagnostic, index, render) for diagnostic in diagnostics]
    driver = {"name": "orchestrator", "rules": rules}
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _entry(diagnostic: Diagnostic, render: Render) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": advice(diagnostic.help, diagnostic.remedies, render),
        "file": diagnostic.source.name,
        **_place(diagnostic.span),
        "related": [
            {"message": related.message, "file": related.source.name, **_place(related.span)}
            for related in diagnostic.related
        ],
        "notes": list(diagnostic.notes),
        "fix": _fix(diagnostic.fix),
        "remedies": [remedy.to_dict() for remedy in diagnostic.remedies],
    }


def _fix(fix: Fix | None) -> dict[str, Any] | None:
    return None if fix is None else {**_place(fix.span), "replacement": fix.replacement}


def _place(span: Span) -> dict[str, int]:
    return {
        "line": span.start.line,
        "column": span.start.column,
        "end_line": span.end.line,
        "end_column": span.end.column,
    }


def _workflow_command(diagnostic: Diagnostic, render: Render) -> str:
    span = diagnostic.span
    properties: dict[str, object] = {
        "file": diagnostic.source.name,
        "line": span.start.line,
        "endLine": span.end.line,
        "col": span.start.column,
        "endColumn": span.end.column,
        "title": f"{diagnostic.code} {CODES[diagnostic.code].title}" if diagnostic.code in CODES else diagnostic.code,
    }
    listed = ",".join(f"{name}={_escape_property(str(value))}" for name, value in properties.items())
    return f"::{diagnostic.severity} {listed}::{_escape(_text(diagnostic, render))}"


def _text(diagnostic: Diagnostic, render: Render) -> str:
    help = advice(diagnostic.help, diagnostic.remedies, render)
    return f"{diagnostic.message}\nhelp: {help}" if help else diagnostic.message


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _sarif_result(diagnostic: Diagnostic, index: dict[str, int], render: Render) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "level": diagnostic.severity,
        "message": {"text": _text(diagnostic, render)},
        "locations": [_location(diagnostic.source.name, diagnostic.span)],
    }
    if diagnostic.code in index:
        result["ruleIndex"] = index[diagnostic.code]
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, **_location(related.source.name, related.span), "message": {"text": related.message}}
            for number, related in enumerate(diagnostic.related)
        ]
    if diagnostic.fix:
        replacement = {
            "deletedRegion": _region(diagnostic.fix.span),
            "insertedContent": {"text": diagnostic.fix.replacement},
        }
        change = {"artifactLocation": {"uri": _uri(diagnostic.source.name)}, "replacements": [replacement]}
        result["fixes"] = [{"description": {"text": diagnostic.help or "replace"}, "artifactChanges": [change]}]
    return result


def _location(name: str, span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(name)}, "region": _region(span)}}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
    }


def _uri(name: str) -> str:
    path = PurePath(name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())

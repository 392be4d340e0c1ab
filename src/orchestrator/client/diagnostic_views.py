"""Diagnostics as a server describes them, as the objects that they are in the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.diagnostics import Diagnostic, Fix, Related, Source, Span
from orchestrator.remedies import remedies_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def diagnostics_from(found: Iterable[Mapping[str, Any]], texts: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """Return diagnostics; `texts` are those of the files that they are about."""
    sources = {name: Source.of(name, text) for name, text in texts.items()}

    def source(name: str) -> Source:
        return sources.setdefault(name, Source.of(name, ""))

    return tuple(
        Diagnostic(
            each["code"],
            each["message"],
            source(each["file"]),
            _span(each),
            each["severity"],
            each.get("label", ""),
            each.get("hint"),
            tuple(each["notes"]),
            tuple(Related(place["message"], source(place["file"]), _span(place)) for place in each["related"]),
            None if each["fix"] is None else Fix(_span(each["fix"]), each["fix"]["replacement"]),
            remedies_from(each["remedies"]),
        )
        for each in found
    )


def _span(place: Mapping[str, Any]) -> Span:
    return Span.at(place["line"], place["column"], place["end_line"], place["end_column"])

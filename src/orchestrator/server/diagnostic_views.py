"""Diagnostics as the API returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.diagnostics import diagnostics_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.diagnostics import Diagnostic


def diagnostic_views(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """Return diagnostics with their labels, and the texts of the files that they are about.

    `help` is complete; `hint` is the part of it that the remedies do not say.
    """
    views = diagnostics_json(diagnostics)["diagnostics"]
    for view, diagnostic in zip(views, diagnostics, strict=True):
        view |= {"label": diagnostic.label, "hint": diagnostic.help}
    sources = [diagnostic.source for diagnostic in diagnostics]
    sources += [related.source for diagnostic in diagnostics for related in diagnostic.related]
    return {"diagnostics": views, "sources": {source.name: source.text for source in sources}}

"""Missing keys and packages: they are not errors in a file, so they come last, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.diagnostics.model import Diagnostic

ACCESS: Final = frozenset({codes.MISSING_API_KEY, codes.PROVIDER_EXTRA_MISSING})
"""The codes of missing keys and packages."""

_MOST_PLACES: Final = 5


def access_last(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics with those about missing keys and packages at the end, one for each key or package.

    The remaining diagnostic is an error if any of them is, and lists the other places.
    """
    mistakes: list[Diagnostic] = []
    missing: dict[tuple[str, str], list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        if diagnostic.code in ACCESS:
            missing.setdefault((diagnostic.code, diagnostic.advice or diagnostic.message), []).append(diagnostic)
        else:
            mistakes.append(diagnostic)
    return mistakes + [_merged(same) for same in missing.values()]


def _merged(same: list[Diagnostic]) -> Diagnostic:
    first = next((each for each in same if each.severity == "error"), same[0])
    places = dict.fromkeys(f"{each.source.name}:{each.span.start.line}" for each in same if each is not first)
    if not places:
        return first
    listed = quoted_list(list(places)[:_MOST_PLACES])
    more = f" and {len(places) - _MOST_PLACES} more places" if len(places) > _MOST_PLACES else ""
    return replace(first, notes=(*first.notes, f"needed at {listed}{more} too"))

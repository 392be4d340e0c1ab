"""Warnings about a file of the py-orc dialect: what of it has no effect here, in as few diagnostics as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Related, Source
from orchestrator.language.aliases.py_orc.words import PLACE_OF_SETTING
from orchestrator.language.yaml.nodes import Mapping
from orchestrator.remedies import ImportPipeline
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.changes import DialectChanges
    from orchestrator.language.yaml.nodes import Entry, Node, Scalar

_MOST_RELATED = 4


def report_dialect(source: Source, changes: DialectChanges) -> list[Diagnostic]:
    """Return one warning for all keys without effect, and one for each other kind of note."""
    found = [_inert(source, changes)] if changes.inert else []
    by_text: dict[str, list[Node]] = {}
    for place, text in changes.notes:
        by_text.setdefault(text, []).append(place)
    found += [_contradiction(source, first, second) for first, second in changes.contradictions]
    return found + [_note(source, text, places) for text, places in by_text.items()]


def _contradiction(source: Source, first: Scalar, second: Scalar) -> Diagnostic:
    name = shorten(first.text)
    return Diagnostic(
        codes.CONFLICTING_KEYS,
        f"the input `{name}` is declared twice, and the two declarations disagree",
        source,
        second.span,
        label="and this?",
        help="keep one of the two declarations, or make them agree",
        related=(Related("the first is here", source, first.span),),
    )


def _inert(source: Source, changes: DialectChanges) -> Diagnostic:
    keys = [entry.key for entry in changes.inert]
    many = len(keys) > 1
    names = quoted_list([key.text for key in keys], last="and", most=6)
    places = [place for entry in changes.inert for place in _settings(entry)]
    move = f"move {'them' if many else 'it'} below `metadata:`"
    return Diagnostic(
        codes.INERT_FORM,
        f"{names} {'have' if many else 'has'} no effect, and {'are' if many else 'is'} kept as metadata",
        source,
        keys[0].span,
        "warning",
        label="only for people",
        help=f"write {quoted_list(dict.fromkeys(places), last='and', most=3)} at the top of the file instead"
        if places
        else move,
    )


def _settings(entry: Entry) -> list[str]:
    """Return where settings below an inert key belong."""
    value = entry.value
    names = value.table if isinstance(value, Mapping) else ()
    return [PLACE_OF_SETTING[name] for name in names if name in PLACE_OF_SETTING]


def _note(source: Source, text: str, places: list[Node]) -> Diagnostic:
    first, *others = places
    message = text if not others else f"{text} (here and in {len(others)} other place{'s' if len(others) > 1 else ''})"
    related = tuple(Related("also here", source, place.span) for place in others[:_MOST_RELATED])
    return Diagnostic(
        codes.INERT_FORM,
        message,
        source,
        first.span,
        "warning",
        label="read like this",
        help="say what you mean in the canonical form",
        related=related,
        remedies=() if source.name.startswith("<") else (ImportPipeline(source.name),),
    )

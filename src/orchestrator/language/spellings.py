"""The accepted spellings of a file that are not the canonical ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Related, Span
from orchestrator.language.aliases.canonical import Spelled
from orchestrator.language.aliases.older_calls import OlderKey
from orchestrator.language.yaml.nodes import Mapping, Sequence
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.document import Document
    from orchestrator.language.yaml.nodes import Node

_MOST_RELATED = 3


class Spelling(Struct, frozen=True):
    """What is written at a place, and its canonical form."""

    span: Span
    written: str
    canonical: str


def spellings_of(document: Document) -> list[Spelling]:
    """Return the spellings of a file that are not the canonical ones, in the order of the file.

    Those of tools by their older names are in `older_names`.
    """
    made = document.changes.made if document.changes is not None else []
    found = [Spelling(change.span, change.written, change.canonical) for change in made]
    renamed = {(each.span.start, each.written): number for number, each in enumerate(found)}
    for key, spelling in _spelled_keys(document.spec.node):
        number = renamed.get((key.span.start, spelling.written))
        if number is None:
            found.append(spelling)
        elif found[number].canonical.endswith(":"):
            found[number] = spelling  # renamed more than once
    unique = {(each.span.start, each.written): each for each in found}
    return sorted(unique.values(), key=lambda each: (each.span.start, each.written))


def older_names(document: Document) -> list[Spelling]:
    """Return the tools and actions that are called by an older name."""
    return [Spelling(each.place.span, each.written, each.canonical) for each in document.older]


def spelling_diagnostics(document: Document) -> list[Diagnostic]:
    """Return a warning for each spelling; one that is used often is one warning."""
    grouped: dict[tuple[str, str], list[Spelling]] = {}
    for spelling in [*spellings_of(document), *older_names(document)]:
        grouped.setdefault((spelling.written, spelling.canonical), []).append(spelling)
    return [_diagnostic(document, each) for each in grouped.values()]


def _diagnostic(document: Document, found: list[Spelling]) -> Diagnostic:
    first, *others = found
    written, canonical = shorten(_on_one_line(first.written)), shorten(_on_one_line(first.canonical))
    count = f", {len(found)} times" if others else ""
    return Diagnostic(
        codes.OTHER_SPELLING,
        f"`{written}` is accepted{count}, but is not the canonical form",
        document.source,
        first.span,
        "warning",
        label="another spelling",
        help=_advice(canonical),
        related=tuple(Related("also here", document.source, each.span) for each in others[:_MOST_RELATED]),
    )


def _advice(canonical: str) -> str:
    if canonical == "nothing" or not canonical:
        return "remove it"
    if canonical.startswith("nothing: "):
        return f"remove it: {canonical.removeprefix('nothing: ')}"
    is_prose = canonical.split(" ")[0] in ("a", "the")
    return f"write {canonical}" if is_prose else f"write `{canonical}`"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _spelled_keys(root: Node) -> Iterator[tuple[Spelled, Spelling]]:
    pending: list[Node] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            for entry in node.entries:
                key = entry.key
                if isinstance(key, Spelled) and not isinstance(key, OlderKey):
                    yield key, Spelling(key.span, f"{key.written}:", f"{key.text}:")
                pending.append(entry.value)
        elif isinstance(node, Sequence):
            pending += node.items

"""What the rewriting of a file has changed, and what of it has no effect here."""

from __future__ import annotations

from msgspec import Struct, field

from orchestrator.diagnostics import Span
from orchestrator.language.yaml.nodes import Entry, Node, Scalar


class DialectChange(Struct, frozen=True):
    """A form of the dialect at a place of the file, and the canonical one. `part` is where in the text of the place."""

    place: Node
    written: str
    canonical: str
    part: tuple[int, int] | None = None

    @property
    def span(self) -> Span:
        """The place in the file."""
        if self.part is not None and isinstance(self.place, Scalar):
            return self.place.span_of(*self.part)
        span = self.place.span
        return span if span.end.line == span.start.line else Span.at(span.start.line, span.start.column)


class DialectChanges(Struct):
    """All changes of a file, in the order in which they were made.

    `inert` are the entries at the top of the file that have no effect, `notes` are places where a form does a little
    less than in the dialect, with what it does here. `contradictions` are inputs that are declared twice, differently.
    """

    made: list[DialectChange] = field(default_factory=list)
    inert: list[Entry] = field(default_factory=list)
    notes: list[tuple[Node, str]] = field(default_factory=list)
    contradictions: list[tuple[Scalar, Scalar]] = field(default_factory=list)

    def add(self, place: Node, written: str, canonical: str, part: tuple[int, int] | None = None) -> None:
        """Record one change, unless the canonical form is the written one."""
        if written != canonical:
            self.made.append(DialectChange(place, written, canonical, part))

    def note(self, place: Node, text: str) -> None:
        """Record that a form does a little less than in the dialect."""
        self.notes.append((place, text))

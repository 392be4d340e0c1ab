"""The diagnostics of one file while it is compiled: at most one for each place and cause."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.diagnostics import CODES, MAX_DIAGNOSTICS, Diagnostic, Fix, Related, Source, Span, source_of_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.expressions import Problem
    from orchestrator.language.yaml.nodes import Node, Scalar
    from orchestrator.remedies import Remedy
    from orchestrator.tools import Refusal


class Diagnostics:
    """The diagnostics found so far in one file.

    `unreadable` means that a part of the file could not be parsed, so that names that seem unused may be used there.
    """

    def __init__(self, source: Source, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self.source = source
        self._items: dict[tuple[str, Span], Diagnostic] = {(d.code, d.span): d for d in diagnostics}
        self._refused = sorted(d.span.start.line for d in self._items.values() if d.severity == "error")
        self._unknown: dict[int, list[tuple[str, Span]]] = {}
        for key in self._items:
            if key[0] == codes.UNKNOWN_KEY:
                self._unknown.setdefault(key[1].start.line, []).append(key)
        self.unreadable = bool(self._refused)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> list[Diagnostic]:
        """All of them, in the order in which they were found."""
        return list(self._items.values())

    def lost_part_of(self, node: Node) -> bool:
        """Return whether the reader rejected something inside a node, which may be what seems to be missing."""
        if not self._refused:
            return False  # of most files: the place of a node takes time to compute
        span = node.span
        place = bisect_left(self._refused, span.start.line)
        return place < len(self._refused) and self._refused[place] <= span.end.line

    def unknown_keys(self, span: Span) -> dict[str, Diagnostic]:
        """Return the unknown keys that the reader reported inside `span`, by their text."""
        found = {}
        for line in range(span.start.line, span.end.line + 1):
            for key in self._unknown.get(line, ()):
                start, end = key[1].start, key[1].end
                if not span.start <= start <= span.end:
                    continue  # of another step in the same line
                found[self.source.lines[start.line - 1][start.column - 1 : end.column - 1]] = self._items[key]
        return found

    def replace_help(self, diagnostic: Diagnostic, help: str) -> None:
        """Replace the help line of a reported diagnostic, now that more is known."""
        self._items[diagnostic.code, diagnostic.span] = replace(diagnostic, help=help, remedies=(), fix=None)

    def relate(self, code: str, first: Span, message: str, span: Span) -> None:
        """Add a further place to a reported diagnostic: the same has to be changed there."""
        found = self._items.get((code, first))
        if found is not None:
            self._items[code, first] = replace(found, related=(*found.related, self._related(message, span)))

    def keep_only(self, code: str, span: Span) -> None:
        """Drop diagnostics with another code that start inside `span`: they follow from the same error."""
        first, last = (span.start.line, span.start.column), (span.end.line, span.end.column)
        for key in [*self._items]:
            start = key[1].start
            if self._is_elsewhere(key[1], span):
                continue
            if key[0] != code and first <= (start.line, start.column) <= last:
                del self._items[key]

    def forget(self, code: str, span: Span) -> None:
        """Drop diagnostics with this code that start inside `span`: another one reports the error."""
        for key in [key for key in self._items if key[0] == code]:
            if span.start <= key[1].start <= span.end and not self._is_elsewhere(key[1], span):
                del self._items[key]

    def _related(self, message: str, span: Span) -> Related:
        return Related(message, source_of_span(span, self.source), span)

    def _is_elsewhere(self, one: Span, other: Span) -> bool:
        """Whether two spans are in different files."""
        return source_of_span(one, self.source) is not source_of_span(other, self.source)

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        help: str | None = None,
        notes: Sequence[str] = (),
        related: Sequence[tuple[str, Span] | Related] = (),
        replacement: str | None = None,
        severity: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        """Add a diagnostic; `replacement` is text that can safely replace `span`."""
        if len(self._items) >= MAX_DIAGNOSTICS:
            excess = Diagnostic.over_limit(self.source)
            self._items.setdefault((excess.code, excess.span), excess)
            return
        diagnostic = Diagnostic(
            code=code,
            message=message,
            source=source_of_span(span, self.source),
            span=span,
            severity="warning" if (severity or CODES[code].severity) == "warning" else "error",
            label=label,
            help=help,
            notes=tuple(notes),
            related=tuple(each if isinstance(each, Related) else self._related(*each) for each in related),
            fix=None if replacement is None else Fix(span, replacement),
            remedies=tuple(remedies),
        )
        self._items.setdefault((code, span), diagnostic)

    def add_refusal(self, span: Span, refusal: Refusal) -> None:
        """Report an access that the permissions do not allow."""
        help, remedies = refusal.help, refusal.remedies
        self.add(codes.NOT_PERMITTED, span, refusal.message, label="not permitted", help=help, remedies=remedies)

    def add_problems(self, scalar: Scalar, problems: Iterable[Problem]) -> None:
        """Add the problems of a template in `scalar`, each at its place inside it."""
        for problem in problems:
            self.unreadable = (
                self.unreadable or problem.code != codes.CONSTANT_COMPARISON
            )  # that one hides nothing else
            self.add(
                problem.code,
                scalar.span_of(problem.start, problem.end),
                problem.message,
                label=problem.label,
                help=problem.help,
                replacement=problem.replacement,
                severity=problem.severity,
                remedies=problem.remedies,
            )

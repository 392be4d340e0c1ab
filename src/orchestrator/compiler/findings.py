"""Collects the diagnostics of one compilation, at most one for each place and cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from orchestrator.diagnostics import CODES, Diagnostic, Fix, Related, Source, Span

if TYPE_CHECKING:
    from orchestrator.expressions import Problem
    from orchestrator.language.nodes import Scalar


class Findings:
    """The problems found so far in one file."""

    def __init__(self, source: Source, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self.source = source
        self._items: dict[tuple[str, Span], Diagnostic] = {(d.code, d.span): d for d in diagnostics}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """All of them, in the order in which they were found."""
        return list(self._items.values())

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        help: str | None = None,
        notes: Sequence[str] = (),
        related: Sequence[tuple[str, Span]] = (),
        replacement: str | None = None,
        severity: str | None = None,
    ) -> None:
        """Record a problem; `replacement` is text that may safely be put in the place of `span`."""
        diagnostic = Diagnostic(
            code=code,
            message=message,
            source=self.source,
            span=span,
            severity="warning" if (severity or CODES[code].severity) == "warning" else "error",
            label=label,
            help=help,
            notes=tuple(notes),
            related=tuple(Related(text, self.source, where) for text, where in related),
            fix=None if replacement is None else Fix(span, replacement),
        )
        self._items.setdefault((code, span), diagnostic)

    def add_problems(self, scalar: Scalar, problems: Iterable[Problem]) -> None:
        """Record the problems of a template that stands in `scalar`, each at its own place inside of it."""
        for problem in problems:
            self.add(
                problem.code,
                scalar.span_of(problem.start, problem.end),
                problem.message,
                label=problem.label,
                help=problem.help,
                replacement=problem.replacement,
                severity=problem.severity,
            )

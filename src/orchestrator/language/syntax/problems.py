"""A syntax problem in YAML text, by offsets, with the repair that lets reading continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.diagnostics import Diagnostic, Fix, Related, Source
from orchestrator.language.yaml.layout import Edit

if TYPE_CHECKING:
    from orchestrator.language.yaml.layout import TextLayout

MAX_PROBLEMS = 100
"""The number of syntax errors that are repaired; the rest of the file is not read."""

MAX_EDITS = 5_000
"""The number of edits in one text; with more, reading stops."""


class SyntaxProblem(Struct, frozen=True):
    """One problem. Offsets are those of the text that was read.

    `edits` repair a copy of the text, so that the rest can be read. `silent` problems are repaired and not reported.
    `lossy` repairs drop something, so that keys may seem missing afterwards. `vague` problems have no known cause;
    after a lossy repair they count as its consequence. `weak` problems on a repaired line count as a consequence of
    the repair.
    """

    code: str
    message: str
    start: int
    end: int
    label: str = ""
    help: str | None = None
    notes: tuple[str, ...] = ()
    related: tuple[tuple[str, int, int], ...] = ()
    fix: Edit | None = None
    edits: tuple[Edit, ...] = ()
    silent: bool = False
    lossy: bool = False
    vague: bool = False
    weak: bool = False


class ReadingStopped(Exception):
    """Reading stopped, because the text is over a limit; `problem` reports it."""

    def __init__(self, problem: SyntaxProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def to_diagnostic(problem: SyntaxProblem, source: Source, layout: TextLayout) -> Diagnostic:
    """Return the diagnostic for a problem in the file."""
    fix = problem.fix
    return Diagnostic(
        code=problem.code,
        message=problem.message,
        source=source,
        span=layout.span(problem.start, problem.end),
        label=problem.label,
        help=problem.help,
        notes=problem.notes,
        related=tuple(Related(message, source, layout.span(start, end)) for message, start, end in problem.related),
        fix=Fix(layout.exact_span(fix.start, fix.end), fix.replacement) if fix else None,
    )

"""A mistake in a YAML text, by offsets, before it becomes a diagnostic; with the repair that lets reading go on."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.diagnostics import Diagnostic, Fix, Related, Source
from orchestrator.language.yaml.layout import Edit, TextLayout

MAX_PROBLEMS = 100
"""How many mistakes of syntax are repaired; a file with more is not read to its end."""

MAX_EDITS = 5_000
"""How many repairs are made in one text; with more, reading breaks off."""


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """One mistake. Offsets are those of the text that was read.

    `edits` repair a copy of the text, so that what follows can be read. `silent` mistakes are repaired and not
    reported. `lossy` repairs drop something, so that what is missing afterwards is not the user's mistake.
    `vague` mistakes have no known cause; after a lossy repair they are taken for its consequence.
    `weak` mistakes on a line that has been repaired before are taken for a consequence of the repair.
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
    """Reading cannot go on: the text is over a budget. Carries the mistake that says so."""

    def __init__(self, mistake: SyntaxProblem) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


def to_diagnostic(mistake: SyntaxProblem, source: Source, layout: TextLayout) -> Diagnostic:
    """Place a mistake in the file."""
    fix = mistake.fix
    return Diagnostic(
        code=mistake.code,
        message=mistake.message,
        source=source,
        span=layout.span(mistake.start, mistake.end),
        label=mistake.label,
        help=mistake.help,
        notes=mistake.notes,
        related=tuple(Related(message, source, layout.span(start, end)) for message, start, end in mistake.related),
        fix=Fix(layout.exact_span(fix.start, fix.end), fix.replacement) if fix else None,
    )

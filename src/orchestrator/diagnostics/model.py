"""A diagnostic: one problem in a pipeline file, with its place and its fix."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from orchestrator import codes
from orchestrator.diagnostics.code_table import CODES
from orchestrator.diagnostics.suggestions import Suggestion, is_spelling
from orchestrator.remedies import Remedy, advice
from orchestrator.text.representation import PartlyShown

Severity = Literal["error", "warning"]

MAX_DIAGNOSTICS: Final = 100_000
"""The maximum number of diagnostics of one file; one more reports that there are others."""


class Position(Struct, frozen=True, order=True):
    """A place between two characters of a file. Line and column count from 1; a column counts code points."""

    line: int
    column: int


class Span(Struct, frozen=True, order=True):
    """From `start` up to, not including, `end`."""

    start: Position
    end: Position

    @classmethod
    def at(cls, line: int, column: int, end_line: int | None = None, end_column: int | None = None) -> Span:
        """Build a span from plain numbers; without an end it covers one character."""
        return cls(Position(line, column), Position(end_line or line, end_column or column + 1))

    def longer(self, width: int) -> Span:
        """Return the span that ends some characters later on the same line."""
        return Span(self.start, Position(self.end.line, self.end.column + width))


class Source(PartlyShown, frozen=True):
    """The text of one file, kept for excerpts. `name` is the path as the user wrote it, or `<text>`."""

    hidden: ClassVar = ("lines",)

    name: str
    text: str
    lines: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, text: str) -> Source:
        """Split the text into the lines of the YAML reader."""
        from orchestrator.text.lines import split_lines

        return cls(name, text, split_lines(text))


class SourceSpan(Span, frozen=True, order=True):
    """A span in another file than the one whose nodes lead to it, such as a prompt file."""

    source: Source

    def longer(self, width: int) -> SourceSpan:
        """Return the span that ends some characters later on the same line."""
        end = Position(self.end.line, self.end.column + width)
        return SourceSpan(self.start, end, self.source)


def source_of_span(span: Span, source: Source) -> Source:
    """Return the file that a span is in; `source` is that of the spans that name none."""
    return span.source if isinstance(span, SourceSpan) else source


class Related(Struct, frozen=True):
    """A second place that explains the first: "first defined here"."""

    message: str
    source: Source
    span: Span


class Fix(Struct, frozen=True):
    """A replacement that a program can apply: `replacement` replaces `span`."""

    span: Span
    replacement: str


class Diagnostic(Struct, frozen=True):
    """One problem.

    `message` is self-contained: it names what is wrong in backticks and has no full stop. `label` is the short text
    next to the caret, `help` a concrete fix, `notes` further facts, `fix` a safe replacement. `remedies` are what else
    can be done, as data.
    """

    code: str
    message: str
    source: Source
    span: Span
    severity: Severity = "error"
    label: str = ""
    help: str | None = None
    notes: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    remedies: tuple[Remedy, ...] = ()

    def __post_init__(self) -> None:
        """Use the remedy of the code as default help, and drop a fix that is only a guess."""
        if self.help is None and not self.remedies:
            force_setattr(self, "help", CODES[self.code].remedy)
        if self.fix is not None and not _is_safe(self.source, self.fix):
            force_setattr(self, "fix", None)

    @property
    def advice(self) -> str:
        """The help and the remedies, as Python calls, in one text."""
        return advice(self.help, self.remedies)

    @classmethod
    def over_limit(cls, source: Source, message: str = "") -> Diagnostic:
        """Return the diagnostic that reports that not all problems are listed."""
        message = message or f"the file has more than {MAX_DIAGNOSTICS:,} problems, and the rest is not listed"
        help = "fix these first: many of the same kind often have one cause"
        return cls(codes.FILE_TOO_LARGE, message, source, Span.at(1, 1), help=help)

    @property
    def sort_key(self) -> tuple[str, int, int, int, int, str]:
        """The sort key: the order of the file."""
        start, end = self.span.start, self.span.end
        return (self.source.name, start.line, start.column, end.line, end.column, self.code)


_WORD: Final = re.compile(r"[\"']?([\w-]+(?:[ .:/-][\w-]+)*)[\"']?")
_SAME: Final = frozenset({("yes", "true"), ("on", "true"), ("no", "false"), ("off", "false")})
"""Words that YAML 1.1 reads as true and false."""


def _is_safe(source: Source, fix: Fix) -> bool:
    """Whether a fix is safe: a word is replaced only by the word that it misspells."""
    if isinstance(fix.replacement, Suggestion) and not fix.replacement.alone:
        return False
    start, end = fix.span.start, fix.span.end
    if start.line != end.line or start.line > len(source.lines):
        return True
    old = _WORD.fullmatch(source.lines[start.line - 1][start.column - 1 : end.column - 1])
    new = _WORD.fullmatch(fix.replacement)
    if old is None or new is None:
        return True
    return is_spelling(old[1], new[1]) or (old[1].lower(), new[1]) in _SAME

"""Diagnostics as text for people: message, place, source lines with carets, and help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.diagnostics.code_table import CODES
from orchestrator.diagnostics.model import Diagnostic, Source, Span
from orchestrator.remedies import ListProblems, Remedy, advice, call_of
from orchestrator.text.lines import display_width, visible
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Render = Callable[[Remedy], str]

SHOWN_ALIKE: Final = 5
"""The number of similar diagnostics that are shown of many; often they have the same cause."""
_MOST_WHOLE: Final = 10
"""The number of similar diagnostics that are all shown."""
_VARIES = re.compile(r"`[^`]*`|\d+")
_MOST_LINES: Final = 10
_WIDEST = 140  # cells of source text in an excerpt; a longer line is cut around the mark
_BEFORE = 60  # characters kept before the mark in a cut line

_RESET = "\x1b[0m"
_STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "gutter": "\x1b[1;34m",
    "bold": "\x1b[1m",
}


class _Mark(Struct, frozen=True):
    """One underlined piece of one line."""

    line: int
    start: int
    end: int
    label: str
    primary: bool


class _Paint(Struct, frozen=True):
    """Wraps text in color codes, or returns it unchanged."""

    color: bool

    def __call__(self, style: str, text: str) -> str:
        return f"{_STYLES[style]}{text}{_RESET}" if self.color and text else text


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False, render: Render = call_of) -> str:
    """Render diagnostics for reading, one block each and a summary line at the end.

    Remedies are written as `render` has them, by default for Python.

    Of more than ten similar diagnostics, the first five are shown, with the lines of some others; JSON has all.
    Returns an empty text for no diagnostics. `color` adds ANSI codes; nothing else of the terminal is assumed. Control
    characters of the source are shown as pictures and never passed on.
    """
    diagnostics = list(diagnostics)
    if not diagnostics:
        return ""
    paint = _Paint(color)
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, diagnostic in enumerate(diagnostics):
        alike.setdefault(_kind(diagnostic), []).append(number)
    folded: dict[int, Sequence[Diagnostic]] = {}
    for numbers in alike.values():
        if len(numbers) > _MOST_WHOLE:
            folded[numbers[SHOWN_ALIKE]] = [diagnostics[number] for number in numbers[SHOWN_ALIKE:]]
            folded |= dict.fromkeys(numbers[SHOWN_ALIKE + 1 :], ())
    blocks: list[str] = []
    for number, diagnostic in enumerate(diagnostics):
        rest = folded.get(number)
        if rest is None:
            blocks.append("\n".join(_block(diagnostic, paint, render)))
        elif rest:
            blocks.append("\n".join(_fold(rest, paint, render)))
    return "\n\n".join([*blocks, count_summary(diagnostics)])


def _kind(diagnostic: Diagnostic) -> tuple[str, ...]:
    """Return the common part of similar diagnostics: the code, the message without names and numbers, and the file."""
    return diagnostic.code, diagnostic.severity, diagnostic.source.name, _VARIES.sub("", diagnostic.message)


def _fold(rest: Sequence[Diagnostic], paint: _Paint, render: Render) -> Iterator[str]:
    """Yield the number of similar diagnostics that are not shown, and their lines."""
    first = rest[0]
    title = CODES[first.code].title if first.code in CODES else first.code
    yield paint(first.severity, f"{first.severity}[{first.code}]") + paint(
        "bold", f": {len(rest):,} more of this kind ({title})"
    )
    lines = list(dict.fromkeys(diagnostic.span.start.line for diagnostic in rest))
    listed = ", ".join(map(str, lines[:_MOST_LINES])) + (", …" if len(lines) > _MOST_LINES else "")
    yield f"{paint('gutter', '-->')} {visible(first.source.name)}, line{'s' if len(lines) > 1 else ''} {listed}"
    help = advice("fix the first ones", [ListProblems(first.source.name)], render)
    yield f"{paint('gutter', ' =')} {paint('bold', 'help')}: {_clean(help)}"


def count_summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Return counts without zeros, such as "2 errors, 1 warning"."""
    counts = {"error": 0, "warning": 0}
    for diagnostic in diagnostics:
        counts[diagnostic.severity] += 1
    return ", ".join(plural(count, word) for word, count in counts.items() if count)


def _block(diagnostic: Diagnostic, paint: _Paint, render: Render) -> Iterator[str]:
    title = f"{diagnostic.severity}[{diagnostic.code}]"
    yield paint(diagnostic.severity, title) + paint("bold", f": {_clean(diagnostic.message)}")
    main = diagnostic.source
    here = [r for r in diagnostic.related if r.source.name == main.name and r.source.text == main.text]
    elsewhere = [r for r in diagnostic.related if r not in here]
    marks = _marks(main, diagnostic.span, diagnostic.label, primary=True)
    for related in here:
        marks += _marks(main, related.span, related.message, primary=False)
    last_line = max([mark.line for mark in marks] + [r.span.end.line for r in elsewhere])
    gutter = len(str(last_line))
    style = diagnostic.severity
    yield from _excerpt(main, diagnostic.span, marks, gutter, style, paint, arrow="-->")
    for related in elsewhere:
        other = _marks(related.source, related.span, related.message, primary=False)
        yield from _excerpt(related.source, related.span, other, gutter, style, paint, arrow=":::")
    rule = paint("gutter", " " * gutter + " |")
    bullet = paint("gutter", " " * gutter + " =")
    help = advice(diagnostic.help, diagnostic.remedies, render)
    if diagnostic.notes or help:
        yield rule
    for note in diagnostic.notes:
        yield f"{bullet} {paint('bold', 'note')}: {_clean(note, gutter + 9)}"
    if help:
        yield f"{bullet} {paint('bold', 'help')}: {_clean(help, gutter + 9)}"


def _excerpt(
    source: Source, span: Span, marks: list[_Mark], gutter: int, style: str, paint: _Paint, *, arrow: str
) -> Iterator[str]:
    margin = " " * gutter
    place = f":{span.start.line}:{span.start.column}" if source.text else ""  # an unreadable file has none
    yield f"{margin}{paint('gutter', arrow)} {visible(source.name)}{place}"
    lines = source.lines or Source.of(source.name, source.text).lines
    if not source.text.strip():
        return
    yield paint("gutter", f"{margin} |")
    numbers = sorted({mark.line for mark in marks})
    shown = 0
    for number in numbers:
        text = lines[number - 1] if number <= len(lines) else ""
        if shown and number == shown + 2 and shown < len(lines):
            between = visible(lines[shown])
            if len(between) <= _WIDEST:
                yield _row(paint("gutter", f"{shown + 1:>{gutter}} |"), between)
            else:
                yield paint("gutter", "...")
        elif shown and number > shown + 2:
            yield paint("gutter", "...")
        shown = number
        on_line = sorted((m for m in marks if m.line == number), key=lambda m: (m.start, not m.primary))
        text, offset = _window(text, on_line)
        yield _row(paint("gutter", f"{number:>{gutter}} |"), visible(text))
        for mark in reversed(on_line):
            start, end = max(mark.start - offset, 0), max(mark.end - offset, 0)
            before = display_width(visible(text[:start]))
            width = max(display_width(visible(text[:end])) - before, 1)
            line = ("^" if mark.primary else "-") * width
            if mark.label:
                line += f" {_clean(mark.label)}"
            yield f"{paint('gutter', margin + ' |')} {' ' * before}{paint(style if mark.primary else 'gutter', line)}"


def _marks(source: Source, span: Span, label: str, *, primary: bool) -> list[_Mark]:
    """Split a span into underlined pieces: itself on one line, else its first and its last line."""
    first, last = span.start.line, span.end.line
    lines = source.lines or Source.of(source.name, source.text).lines
    if last > first and span.end.column == 1:
        last -= 1
        end = _length(lines, last) + 1
    else:
        end = span.end.column
    if last == first:
        return [_Mark(first, span.start.column - 1, max(end - 1, span.start.column), label, primary)]
    tail = lines[last - 1] if last <= len(lines) else ""
    indent = len(tail) - len(tail.lstrip())
    return [
        _Mark(first, span.start.column - 1, max(_length(lines, first), span.start.column), "", primary),
        _Mark(last, min(indent, end - 1), end - 1, label, primary),
    ]


def _length(lines: tuple[str, ...], number: int) -> int:
    return len(lines[number - 1].rstrip()) if number <= len(lines) else 0


def _window(text: str, marks: list[_Mark]) -> tuple[str, int]:
    """Cut a long line around the marks. Returns the piece, and the number of characters removed on its left."""
    if len(text) <= _WIDEST:
        return text, 0
    focus = next((mark for mark in marks if mark.primary), marks[0])
    start = max(focus.start - _BEFORE, 0)
    piece = text[start : start + _WIDEST]
    if start:
        piece = "…" + piece[1:]
    if start + _WIDEST < len(text):
        piece = piece[:-1] + "…"
    return piece, start


def _row(gutter: str, text: str) -> str:
    return f"{gutter} {text}".rstrip() if text.strip() else gutter


def _clean(text: str, indent: int = 0) -> str:
    """Make a text safe for a terminal; further lines are indented below the first."""
    return ("\n" + " " * indent).join(visible(line) for line in text.split("\n"))

"""Work on text: fill in templates, cut it up, search and replace."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.patterns import (
    Pattern,
    PatternError,
    PatternMatch,
    ReplacementError,
    SearchTooLong,
    compile_pattern,
    read_replacement,
)
from orchestrator.tools.functions.definition import tool


class SplitResult(TypedDict):
    """The parts, in order."""

    parts: Annotated[list[str], "The parts, in their order."]
    count: Annotated[int, "The number of parts."]


class TextMatch(TypedDict):
    """One match: its text, where it starts and ends, its groups in order, and the named ones by name."""

    text: Annotated[str, "The text that matched."]
    start: Annotated[int, "Where the match begins, in characters from 0."]
    end: Annotated[int, "Where the match ends."]
    groups: Annotated[list[str | None], "What each group matched; null for a group without a part in it."]
    named: Annotated[dict[str, str | None], "The same by the names of the groups."]


class RegexResult(TypedDict):
    """All matches, in order."""

    matches: Annotated[list[TextMatch], "The matches, in their order."]
    count: Annotated[int, "The number of matches."]


class ReplaceResult(TypedDict):
    """The new text, and how many matches were replaced."""

    text: Annotated[str, "The text after the replacement."]
    count: Annotated[int, "The number of replacements."]


@tool
def template(
    template: Annotated[str, "The template, for example the content of a file."],
    values: Annotated[dict[str, Any] | None, "The names that the template reads."] = None,
) -> str:
    """Give a text. The `{{ }}` in it are the step's own and are filled in before the tool is called.

    With `values` the text is a template once more, which reads these values and nothing else: for a template that is
    known no sooner than in the run, such as the content of a file. Without them it is data, whatever it contains.

    Example:
        - id: letter
          tool: text
          action: template
          parameters:
            template: "{{ read_template }}"
            values: {name: Ada}
    """
    if values is None:
        return template
    from orchestrator.expressions import Scope, parse_template

    parsed = parse_template(template)
    for problem in parsed.problems:
        line = template.count("\n", 0, problem.start) + 1
        message = f"the template is wrong in line {line}: {problem.message}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=problem.help, retryable=False)
    return parsed.render(Scope(values, datetime.now(UTC)))


_UNITS = {
    "lines": re.compile(r"[^\n]*\n?"),
    "paragraphs": re.compile(r".+?(?:\n[ \t]*\n\s*|\Z)", re.DOTALL),
    "sentences": re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?:\s+|\Z)|\n[ \t]*\n\s*|\Z)", re.DOTALL),
    "words": re.compile(r"\S+\s*"),
}


@tool(primary="parts")
def split(
    text: Annotated[str, "The text to cut."],
    by: Annotated[Literal["lines", "paragraphs", "sentences", "words"], "Where it may be cut."] = "paragraphs",
    separator: Annotated[str | None, "A text to cut at, instead of `by`."] = None,
    size: Annotated[int | None, "Join neighbours up to this many characters; longer ones are cut."] = None,
    overlap: Annotated[int, "With `size`: characters of the previous part that each part begins with."] = 0,
) -> SplitResult:
    """Cut a text into parts, of a size that a model can take if `size` is given.

    Example:
        - id: chunks
          tool: text
          action: split
          parameters:
            text: "{{ book }}"
            size: 4000
            overlap: 200
    """
    if separator == "":
        raise StepError(
            "`separator` is empty", code=codes.INVALID_PARAMETER, help="give a text, or `by`", retryable=False
        )
    if size is not None and not 0 <= overlap < size:
        message = f"`overlap` must be from 0 to less than `size` ({size})"
        raise StepError(message, code=codes.INVALID_PARAMETER, retryable=False)
    if separator is not None:
        pieces = text.split(separator)
        units = [piece + separator for piece in pieces[:-1]] + pieces[-1:]
    else:
        units = [found[0] for found in _UNITS[by].finditer(text) if found[0]]
    if size is None:
        parts = (
            pieces
            if separator is not None
            else [unit.strip() if by != "lines" else unit.rstrip("\n") for unit in units]
        )
    else:
        parts = _packed(units, size, overlap)
    return {"parts": parts, "count": len(parts)}


def _packed(units: list[str], size: int, overlap: int) -> list[str]:
    """Join units up to `size` characters; each part begins with the last `overlap` characters of the one before."""
    parts: list[str] = []
    current, fresh = "", False
    for unit in units:
        rest = unit
        while rest:
            room = size - len(current)
            if len(rest.rstrip()) <= room:
                current, fresh, rest = current + rest, True, ""
            elif fresh:
                parts += _trimmed([current], "words")
                current, fresh = _tail(current, overlap, size), False
            else:
                current, fresh, rest = current + rest[:room], True, rest[room:]
    return parts + _trimmed([current] if fresh else [], "words")


def _trimmed(units: list[str], by: str) -> list[str]:
    """The units without the spaces around them; of lines, also the empty ones."""
    if by == "lines":
        return [unit.rstrip("\n") for unit in units]
    return [unit.strip() for unit in units if unit.strip()]


def _tail(text: str, length: int, size: int) -> str:
    """The last characters of a part, with one of the spaces that follow, and room for at least one more."""
    words = text.rstrip()
    return (words[-length:] + text[len(words) :][:1])[-size + 1 :] if length else ""


Expression = Annotated[str, "A regular expression, in the syntax of Python's `re`."]
Flags = Annotated[str, "Any of `i` (ignore case), `m` (^ and $ at lines), `s` (. matches line ends), `x` (verbose)."]


@tool(primary="matches")
def regex(text: Annotated[str, "The text to search."], pattern: Expression, flags: Flags = "") -> RegexResult:
    r"""Find all matches of a regular expression.

    Example:
        - id: links
          tool: text
          action: regex
          parameters:
            text: "{{ page }}"
            pattern: 'https?://(?P<host>[^/\s]+)'
    """
    compiled = _compiled(pattern, flags)
    with _bounded():
        matches: list[TextMatch] = [_match(found) for found in compiled.finditer(text, seconds=_SECONDS)]
    return {"matches": matches, "count": len(matches)}


@tool(primary="text")
def replace(
    text: Annotated[str, "The text to search."],
    pattern: Expression,
    replacement: Annotated[str, "What takes the place of each match; `\\1` or `\\g<name>` is a group."],
    flags: Flags = "",
    count: Annotated[int, "How many matches to replace; 0: all."] = 0,
) -> ReplaceResult:
    """Replace the matches of a regular expression.

    Example:
        - id: masked
          tool: text
          action: replace
          parameters:
            text: "{{ letter }}"
            pattern: '[0-9]{4,}'
            replacement: "****"
    """
    compiled = _compiled(pattern, flags)
    try:
        written = read_replacement(replacement, compiled)
        with _bounded():
            result, number = written.replaced(text, count, most=_LONGEST, seconds=_SECONDS)
    except ReplacementError as error:
        raise StepError(
            f"the replacement `{replacement}` is wrong: {error}", code=codes.INVALID_TOOL_INPUT, retryable=False
        ) from error
    except OverflowError as error:
        message = f"the text would have more than {_LONGEST:,} characters"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, retryable=False) from error
    return {"text": result, "count": number}


_LONGEST = 100_000_000
_SECONDS = 60.0
"""Processor time of one search. Other steps are not held up: the tool runs in a thread of its own."""


def _compiled(pattern: str, flags: str) -> Pattern:
    wrong = [letter for letter in flags if letter not in "imsx"]
    if wrong:
        message = f"unknown flag `{wrong[0]}`"
        raise StepError(
            message, code=codes.INVALID_PARAMETER, help="the flags are `i`, `m`, `s` and `x`", retryable=False
        )
    try:
        return compile_pattern(pattern, "python", "".join(sorted(set(flags))))
    except PatternError as error:
        message = f"`{pattern[:80]}` is not a valid regular expression: {error}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=error.help or None, retryable=False) from error


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except SearchTooLong as error:
        raise StepError(str(error), code=codes.INVALID_TOOL_INPUT, retryable=False) from error


def _match(found: PatternMatch) -> TextMatch:
    return {
        "text": found.group() or "",
        "start": found.start,
        "end": found.end,
        "groups": list(found.groups()),
        "named": {name: found.group(name) for name in found.names},
    }

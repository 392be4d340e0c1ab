"""Process text: render templates, split, search and replace."""

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
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool


class SplitResult(TypedDict):
    """The parts, in order."""

    parts: Annotated[list[str], "The parts, in order."]
    count: Annotated[int, "The number of parts."]


class TextMatch(TypedDict):
    """One match: its text, its start and end, its groups in order, and the named groups."""

    text: Annotated[str, "The matched text."]
    start: Annotated[int, "The start of the match, in characters from 0."]
    end: Annotated[int, "The end of the match."]
    groups: Annotated[list[str | None], "The text of each group; null for a group that did not match."]
    named: Annotated[dict[str, str | None], "The named groups, by name."]


class RegexResult(TypedDict):
    """All matches, in order."""

    matches: Annotated[list[TextMatch], "The matches, in order."]
    count: Annotated[int, "The number of matches."]


class ReplaceResult(TypedDict):
    """The new text, and the number of replacements."""

    text: Annotated[str, "The text after the replacement."]
    count: Annotated[int, "The number of replacements."]


@tool(effects="none")
def template(
    template: Annotated[str, "The template, for example the content of a file."],
    values: Annotated[dict[str, Any] | None, "The values that the template can read, by name."] = None,
) -> str:
    """Return a text. Its `{{ }}` belong to the step and are evaluated before the tool is called.

    With `values` the text is then rendered as a template that can read only these values: for a template known only at
    run time, such as the content of a file. Without `values` it is returned unchanged.

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
        message = f"invalid template in line {line}: {problem.message}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=problem.help, retryable=False)
    return parsed.render(Scope(values, datetime.now(UTC)))


_UNITS = {
    "lines": re.compile(r"[^\n]*\n?"),
    "paragraphs": re.compile(r".+?(?:\n[ \t]*\n\s*|\Z)", re.DOTALL),
    "sentences": re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?:\s+|\Z)|\n[ \t]*\n\s*|\Z)", re.DOTALL),
    "words": re.compile(r"\S+\s*"),
}


@tool(primary="parts", effects="none")
def split(
    text: Annotated[str, "The text to split."],
    by: Annotated[Literal["lines", "paragraphs", "sentences", "words"], "The units to split into."] = "paragraphs",
    separator: Annotated[str | None, "A separator to split at, instead of `by`."] = None,
    size: Annotated[int | None, "Join adjacent units up to this many characters; longer ones are cut."] = None,
    overlap: Annotated[int, "With `size`: the number of characters repeated from the previous part."] = 0,
) -> SplitResult:
    """Split a text into parts, with `size` into chunks that fit a model.

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
            "`separator` is empty", code=codes.INVALID_PARAMETER, help="set a separator, or `by`", retryable=False
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
    """Join units up to `size` characters; each part starts with the last `overlap` characters of the previous one."""
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
    """Return the units stripped of surrounding spaces; empty lines are kept."""
    if by == "lines":
        return [unit.rstrip("\n") for unit in units]
    return [unit.strip() for unit in units if unit.strip()]


def _tail(text: str, length: int, size: int) -> str:
    """Return the last characters of a part, with one following space, leaving room for at least one more character."""
    words = text.rstrip()
    return (words[-length:] + text[len(words) :][:1])[-size + 1 :] if length else ""


def _compiled(pattern: str, flags: str = "") -> Pattern:
    _check_flags(flags)
    try:
        return compile_pattern(pattern, "python", "".join(sorted(set(flags))))
    except PatternError as error:
        message = f"`{pattern[:80]}` is not a valid regular expression: {error}"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help=error.help or None, retryable=False) from error


def _check_flags(flags: str) -> None:
    wrong = [letter for letter in flags if letter not in "imsx"]
    if wrong:
        message = f"unknown flag `{wrong[0]}`"
        raise StepError(
            message, code=codes.INVALID_PARAMETER, help="the flags are `i`, `m`, `s` and `x`", retryable=False
        )


Expression = Annotated[str, "A regular expression in the syntax of Python's `re`.", Checked(_compiled)]
Flags = Annotated[
    str,
    "Any of `i` (ignore case), `m` (^ and $ match at lines), `s` (. matches line breaks), `x` (verbose).",
    Checked(_check_flags),
]


@tool(primary="matches", effects="none")
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


@tool(primary="text", effects="none")
def replace(
    text: Annotated[str, "The text to search."],
    pattern: Expression,
    replacement: Annotated[str, "The replacement of each match; `\\1` or `\\g<name>` is a group."],
    flags: Flags = "",
    count: Annotated[int, "The number of matches to replace; 0: all."] = 0,
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
            f"invalid replacement `{replacement}`: {error}", code=codes.INVALID_TOOL_INPUT, retryable=False
        ) from error
    except OverflowError as error:
        message = f"the text would have more than {_LONGEST:,} characters"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, retryable=False) from error
    return {"text": result, "count": number}


_LONGEST = 100_000_000
_SECONDS = 60.0
"""CPU seconds of one search. It does not block other steps: the tool runs in a separate thread."""


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

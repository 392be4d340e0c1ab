"""The extent of unquoted values, and how to quote them."""

from __future__ import annotations

import re

from orchestrator import codes
from orchestrator.language.syntax.problems import SyntaxProblem
from orchestrator.language.yaml.layout import Edit
from orchestrator.text.lines import LINE_BREAK

_COMMENT = re.compile(r"[ \t]+#")
_KEY_LINE = re.compile(r"[ \t]*(?:-[ \t]|-$|#|$|[^\s'\"{}\[\]#:][^'\"{}\[\]#:]*:(?:[ \t]|$))")
_MOST_LINES = 50


def line_start(text: str, offset: int) -> int:
    """Return the offset of the first character of the line."""
    place = offset
    while place > 0 and text[place - 1] not in "\n\r":
        place -= 1
    return place


def line_end(text: str, offset: int) -> int:
    """Return the offset after the last character of the line, without its line break."""
    match = LINE_BREAK.search(text, offset)
    return match.start() if match else len(text)


def next_line(text: str, offset: int) -> int:
    """Return the offset of the line after that of `offset`; the end of the text if there is none."""
    match = LINE_BREAK.search(text, offset)
    return match.end() if match else len(text)


def indentation(text: str, start: int) -> int:
    """Return the number of spaces at the start of the line at `start`."""
    place = start
    while place < len(text) and text[place] == " ":
        place += 1
    return place - start


def value_end(text: str, start: int, limit: int | None = None) -> int:
    """Return the end of the value at `start` on its line, before white space and a comment."""
    end = line_end(text, start) if limit is None else limit
    comment = _COMMENT.search(text, start, end)
    if comment:
        end = comment.start()
    while end > start and text[end - 1] in " \t":
        end -= 1
    return end


def template_end(text: str, start: int, *, in_brackets: bool) -> int:
    """Return the end of the unquoted value that starts with the template at `start`."""
    closing = {"{%": "%}", "{#": "#}"}.get(text[start : start + 2], "}}")
    first = line_end(text, start)
    found = text.find(closing, start + 2, start + 20_000)
    if found < 0 or (found > first and _KEY_LINE.match(text, next_line(text, start), found)):
        return value_end(text, start)
    behind = found + 2
    if re.compile(r":(?:\s|\Z)").match(text, behind):  # the template is a key
        return behind
    end = line_end(text, behind)
    if in_brackets:
        stop = re.compile(r"[,\]}]").search(text, behind, end)
        return value_end(text, behind, stop.start() if stop else end)
    last = value_end(text, behind, end)
    return last if last < end and "#" in text[last:end] else _with_continuation(text, start, last)


def _with_continuation(text: str, start: int, last: int) -> int:
    """Extend the value over the deeper lines that can only continue it."""
    indent = indentation(text, line_start(text, start))
    for _ in range(_MOST_LINES):
        following = next_line(text, last)
        if following >= len(text) or indentation(text, following) <= indent or _KEY_LINE.match(text, following):
            break
        if LINE_BREAK.match(text, following) or text.startswith("\t", following):
            break
        last = value_end(text, following)
    return last


def quote_value(value: str) -> str:
    """Return the value in quotes: double quotes unless it contains them."""
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def quoting_edits(text: str, start: int, end: int) -> tuple[Edit, ...]:
    """Return the insertions that quote `text[start:end]` without moving any other character."""
    value = text[start:end]
    if '"' not in value and "\\" not in value:
        return (Edit(start, start, '"'), Edit(end, end, '"'))
    inner = tuple(Edit(start + at, start + at, "'") for at, character in enumerate(value) if character == "'")
    return (Edit(start, start, "'"), *inner, Edit(end, end, "'"))


def unusable_escape(text: str, at: int, end: int) -> SyntaxProblem | None:
    """Explain the first escape after an offset that does not stand for a character. None if there is none."""
    begin = max(at - 2 * _LONGEST_PAIR, 0)
    alone = PAIR.sub(" " * _LONGEST_PAIR, text[begin:end])
    found = next((match for match in _UNUSABLE.finditer(alone) if begin + match.end() > at), None)
    if found is None:
        return None
    start, escape = begin + found.start(), found[0]
    half = escape[1] == "u"
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{escape}` is half of a character" if half else f"`{escape}` is not a Unicode character",
        start,
        start + len(escape),
        label="missing other half" if half else "unknown character",
        help=r"write both halves, as in `\ud83d\ude00`, or the character itself"
        if half
        else r"the last one is `\U0010FFFF`",
        edits=(Edit(start, start + len(escape), r"\uFFFD" if half else r"\U0000FFFD"),),
    )


PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""The escapes of a surrogate pair, as in JSON."""

_LONGEST_PAIR = 12
_UNUSABLE = re.compile(
    r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\U(?:0000[dD][89a-fA-F][0-9a-fA-F]{2}|(?!0010|000)[0-9a-fA-F]{8})"
)

"""How far an unquoted value reaches, and how to put it in quotes."""

from __future__ import annotations

import re

from orchestrator import codes
from orchestrator.language.syntax.mistakes import SyntaxProblem
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
    """Return the offset behind the last character of the line, its line break left out."""
    match = LINE_BREAK.search(text, offset)
    return match.start() if match else len(text)


def next_line(text: str, offset: int) -> int:
    """Return the offset of the line after the one that `offset` is in; the text's end if there is none."""
    match = LINE_BREAK.search(text, offset)
    return match.end() if match else len(text)


def indentation(text: str, start: int) -> int:
    """Return the number of spaces at the beginning of the line that begins at `start`."""
    place = start
    while place < len(text) and text[place] == " ":
        place += 1
    return place - start


def value_end(text: str, start: int, limit: int | None = None) -> int:
    """Return where the value that begins at `start` ends on its line, before a comment and white space."""
    end = line_end(text, start) if limit is None else limit
    comment = _COMMENT.search(text, start, end)
    if comment:
        end = comment.start()
    while end > start and text[end - 1] in " \t":
        end -= 1
    return end


def template_end(text: str, start: int, *, in_brackets: bool) -> int:
    """Return the end of the unquoted value that begins with the template at `start`."""
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
    """Extend the value over the more deeply indented lines that can only continue it."""
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
    """Return the value in quotes, double ones unless it holds such characters itself."""
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def quoting_edits(text: str, start: int, end: int) -> tuple[Edit, ...]:
    """Return the insertions that put `text[start:end]` in quotes, leaving every other character in its place."""
    value = text[start:end]
    if '"' not in value and "\\" not in value:
        return (Edit(start, start, '"'), Edit(end, end, '"'))
    inner = tuple(Edit(start + at, start + at, "'") for at, character in enumerate(value) if character == "'")
    return (Edit(start, start, "'"), *inner, Edit(end, end, "'"))


def unusable_escape(text: str, at: int, end: int) -> SyntaxProblem | None:
    """Explain the first escape behind an offset that is not for a character. None if there is no such escape."""
    begin = max(at - 2 * _LONGEST_PAIR, 0)
    alone = PAIR.sub(" " * _LONGEST_PAIR, text[begin:end])
    found = next((match for match in _UNUSABLE.finditer(alone) if begin + match.end() > at), None)
    if found is None:
        return None
    start, escape = begin + found.start(), found[0]
    half = escape[1] == "u"
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{escape}` is half of a character" if half else f"`{escape}` is not a character of Unicode",
        start,
        start + len(escape),
        label="the other half is missing" if half else "no such character",
        help=r"write both halves, as in `\ud83d\ude00`, or the character itself"
        if half
        else r"the last one is `\U0010FFFF`",
        edits=(Edit(start, start + len(escape), r"\uFFFD" if half else r"\U0000FFFD"),),
    )


PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""The escapes of the two halves of a character beyond U+FFFF, as JSON has them."""

_LONGEST_PAIR = 12
_UNUSABLE = re.compile(
    r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\U(?:0000[dD][89a-fA-F][0-9a-fA-F]{2}|(?!0010|000)[0-9a-fA-F]{8})"
)

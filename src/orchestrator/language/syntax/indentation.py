"""Indentation errors: tabs, and lines at a column where no block is open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.language.syntax.problems import MAX_EDITS, SyntaxProblem
from orchestrator.language.syntax.quotes import indentation, line_end, line_start, next_line
from orchestrator.language.yaml.layout import Edit
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WHITE = re.compile(r"[ \t]*")
LOOKS_LIKE_KEY = re.compile(r" *(?:-(?: |$)|['\"]?[^\s'\"{}\[\]#:,][^'\"{}\[\]#:]*['\"]?:(?:\s|$))")
_DASHES = re.compile(r"(?:- +)*")
_TAB_WIDTHS = (2, 4, 8, 1)
_MOST_LINES_ABOVE = 2_000


def tab_in_block(
    text: str, offset: int, header: int | None, columns: Sequence[tuple[int, bool]]
) -> SyntaxProblem | None:
    """Repair a `|` or `>` whose first line starts with a tab: text in YAML 1.2, and an error to libyaml.

    An indentation indicator makes both read the same. None if the tab is not in the text of a block.
    """
    line = line_start(text, offset)
    indent = offset - line
    if header is None or text[header : header + 1] not in ("|", ">") or text[line:offset].strip(" "):
        return None
    by = indent - max(columns[0][0] if columns else 0, 0)
    indicators = text[header + 1 : header + 3]
    if not 1 <= by <= 9 or any(sign.isdigit() for sign in indicators.split(" ")[0]):
        return None
    edit = Edit(header + 1, header + 1, str(by))
    return SyntaxProblem(
        codes.TAB_INDENTATION, "a tab at the start of a block", offset, offset + 1, edits=(edit,), silent=True
    )


def tab_problem(text: str, offset: int) -> SyntaxProblem:
    """Explain a tab in the indentation of the line at `offset`, and repair the lines below that have one too."""
    start = line_start(text, offset)
    edits: list[Edit] = []
    reported: tuple[int, int] | None = None
    others = 0
    columns = _open_columns(text, start)
    place = start
    while place < len(text) and len(edits) <= MAX_EDITS:
        end = line_end(text, place)
        white = _WHITE.match(text, place, end)
        indent = white[0] if white else ""
        blank = place + len(indent) == end
        if "\t" not in indent and not blank:
            break
        if "\t" in indent:
            spaces = _spaces_for(indent, columns, text[place + len(indent) : end])
            edits.append(Edit(place, place + len(indent), " " * spaces))
            if not blank and text[place + len(indent)] != "#":
                others += reported is not None
                reported = reported or (place, place + len(indent))
                columns = _after_line(columns, spaces, text[place + len(indent) : end])
        place = next_line(text, place)
    if reported is None:  # only blank lines and comments, where a tab is allowed
        return SyntaxProblem(
            codes.TAB_INDENTATION, "a tab in a blank line", start, start + 1, edits=tuple(edits), silent=True
        )
    first = next(edit for edit in edits if edit.start == reported[0])
    return SyntaxProblem(
        codes.TAB_INDENTATION,
        "this line is indented with a tab",
        reported[0],
        reported[1],
        label="a tab",
        help="indent with spaces, two per level" + (f" (and {others} more below)" if others else ""),
        fix=first,
        edits=tuple(edits),
    )


def indentation_problem(
    text: str, offset: int, columns: Sequence[tuple[int, bool]], opened: tuple[int, int] | None = None
) -> SyntaxProblem:
    """Explain a line that belongs to none of the open blocks, and move it to the closest one that it could belong to.

    `columns` are the columns of the open blocks, each with whether it is a list; `opened` is the start of the block
    that the line does not match.
    """
    start = line_start(text, offset)
    indent = indentation(text, start)
    is_item = text.startswith(("- ", "-\n", "-\r"), start + indent)
    fitting = [column for column, is_list in columns if is_list == is_item] or [column for column, _ in columns]
    target = min(fitting, key=lambda column: (abs(column - indent), -column)) if fitting else indent
    edits = shift_block(text, start, target - indent) if target != indent else ()
    wanted = plural(target, "space")
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"this line is indented by {plural(indent, 'space')}, and no block starts at that column",
        start + indent,
        max(_word_end(text, start + indent), start + indent + 1),
        label=f"expected at column {target + 1}" if target != indent else "does not match the lines above",
        help=f"indent it by {wanted}, like the lines it belongs to" if target != indent else "align it",
        related=(("the block starts here", *opened),) if opened and opened[0] < start else (),
        fix=Edit(start, start + indent, " " * target) if target != indent else None,
        edits=edits,
        weak=True,
    )


def under_indented(text: str, offset: int, last: tuple[int, int, str] | None) -> SyntaxProblem | None:
    """Explain a line that belongs to the text of `|` or `>` above it, and is not indented enough.

    `last` is the previous scalar: its offsets and its style. Returns None if the line is something else.
    """
    start = line_start(text, offset)
    if last is None or last[2] not in ("|", ">") or text[last[1] : start].strip() or last[1] > start:
        return None
    own = indentation(text, start)
    first = next_line(text, last[0])
    while first < last[1] and not text[first : line_end(text, first)].strip():
        first = next_line(text, first)
    wanted = indentation(text, first)
    if first >= last[1] or own >= wanted or LOOKS_LIKE_KEY.match(text, start, line_end(text, start)):
        return None
    edits: list[Edit] = []
    place = start
    while place < len(text) and len(edits) < MAX_EDITS:
        end = line_end(text, place)
        indent = indentation(text, place)
        if place + indent < end:
            if indent >= wanted or LOOKS_LIKE_KEY.match(text, place, end):
                break
            edits.append(Edit(place, place, " " * (wanted - indent)))
        place = next_line(text, place)
    others = len(edits) - 1
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"this line is indented less than the text above, which starts with `{last[2]}`, so it is not part of it",
        start + own,
        line_end(text, start),
        label="the text ends before this line",
        help=f"indent it by {wanted} spaces, like the rest of the text"
        + (f" (and {others} more below)" if others else ""),
        related=(("the text starts here", last[0], last[0] + 1),),
        fix=Edit(start, start + own, " " * wanted),
        edits=tuple(edits),
    )


def shift_block(text: str, start: int, delta: int) -> tuple[Edit, ...]:
    """Return the edits that move the line at `start`, and those below that are indented at least as far."""
    indent = indentation(text, start)
    edits = []
    place = start
    while place < len(text):
        end = line_end(text, place)
        own = indentation(text, place)
        if place + own < end:
            if own < indent:
                break
            edits.append(Edit(place, place, " " * delta) if delta > 0 else Edit(place, place - delta, ""))
        place = next_line(text, place)
    return tuple(edits)


def blank_block(text: str, start: int) -> tuple[Edit, ...]:
    """Return the edits that blank the line at `start` and those below that are indented further."""
    indent = indentation(text, start)
    edits = []
    place = start
    while place < len(text):
        end = line_end(text, place)
        own = indentation(text, place)
        if place + own < end:
            if place > start and own <= indent:
                break
            edits.append(Edit(place, end, " " * (end - place)))
        place = next_line(text, place)
    return tuple(edits)


def lines_above(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the lines above, nearest first, without blank lines and comments."""
    place = start
    for _ in range(_MOST_LINES_ABOVE):
        if place == 0:
            return
        end = place - 1
        if end and text[end - 1 : end + 1] == "\r\n":
            end -= 1
        place = line_start(text, end)
        content = text[place:end].strip()
        if content and not content.startswith("#"):
            yield place, end


def _open_columns(text: str, start: int) -> list[tuple[int, bool | None]]:
    """Return the columns at which the next line can start, deepest first, and whether as a list item (None: either).

    The first is a guess if a block must start.
    """
    columns: list[tuple[int, bool | None]] = []
    lowest: int | None = None
    for place, end in lines_above(text, start):
        indent = indentation(text, place)
        if "\t" in text[place : place + indent + 1] or (lowest is not None and indent >= lowest):
            continue
        content = text[place + indent : end]
        if lowest is None:
            columns = _after_line([], indent, content)
        else:
            columns += _line_columns(indent, content)
        lowest = indent
        if lowest == 0:
            break
    return columns or [(0, None)]


def _line_columns(indent: int, content: str) -> list[tuple[int, bool | None]]:
    dashes = _DASHES.match(content)
    inner = indent + (dashes.end() if dashes else 0)
    return [(inner, False), (indent, True)] if inner != indent else [(indent, False)]


def _after_line(columns: list[tuple[int, bool | None]], indent: int, content: str) -> list[tuple[int, bool | None]]:
    own = _line_columns(indent, content)
    opens = content.split(" #")[0].rstrip().endswith((":", "|", ">", "-", "|-", ">-"))
    deeper: list[tuple[int, bool | None]] = [(own[0][0] + 2, None), (own[0][0], True)] if opens else []
    return deeper + own + [column for column in columns if column[0] < indent]


def _spaces_for(indent: str, columns: list[tuple[int, bool | None]], content: str) -> int:
    if not LOOKS_LIKE_KEY.match(content):  # it can only continue the text above
        return columns[0][0] + 2
    is_item = content.startswith(("- ", "-\n")) or content == "-"
    fitting = [column for column, kind in columns if kind in (None, is_item)] or [columns[0][0]]
    possible = [len(indent.replace("\t", " " * width)) for width in _TAB_WIDTHS]
    if columns[0][0] in possible and columns[0][1] is None:  # the line above opened a block, which is seldom empty
        return columns[0][0]
    for spaces in possible:
        if spaces in fitting:
            return spaces
    spaces = len(indent.replace("\t", "  "))
    return min(fitting, key=lambda column: (abs(column - spaces), -column))


def _word_end(text: str, start: int) -> int:
    end = line_end(text, start)
    match = re.compile(r"[^\s:#]+").search(text, start, end)
    return match.end() if match else end

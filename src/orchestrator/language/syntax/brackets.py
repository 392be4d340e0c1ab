"""Syntax errors inside `[...]` and `{...}`: a missing comma, an item that must be quoted, an unclosed bracket."""

from __future__ import annotations

import re
from typing import Final

from orchestrator import codes
from orchestrator.language.syntax.indentation import LOOKS_LIKE_KEY
from orchestrator.language.syntax.problems import MAX_EDITS, SyntaxProblem
from orchestrator.language.syntax.quotes import indentation, line_end, line_start, quote_value, quoting_edits
from orchestrator.language.yaml.layout import Edit
from orchestrator.text.words import shorten

_CLOSERS: Final = {"[": "]", "{": "}"}
_LONGEST: Final = 50_000
"""The number of characters after a bracket in which its closing bracket is searched."""

_TOKEN: Final = re.compile(
    r"""(?P<quote>["'])|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<comment>(?<=\s)#)|\n"""
)
_QUOTED: Final = {'"': re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL), "'": re.compile(r"'(?:[^']|'')*'")}
_KEY_OF_NEXT_LINE: Final = re.compile(
    r"[ \t]*(?:#[^\n]*)?\n[ \t]*(?=(?:\"[^\"\n]*\"|'[^'\n]*'|[\w.-]+)[ \t]*:(?:[ \t]|\n))"
)
_COLON: Final = re.compile(r":(?=[ \t\n])")
_WORD: Final = re.compile(r"[A-Za-z_][\w-]*")
_DASH: Final = re.compile(r"[ \t]*(-)(?=[ \t])")


def bracket_problem(text: str, at: int, opened: int) -> SyntaxProblem:
    """Explain the error at `at` in the bracket opened at `opened`, where a comma or its end is expected."""
    opening, closing = text[opened], _CLOSERS[text[opened]]
    close, commas = _scan(text, opened)
    if close is None:
        if text[at : at + 1] in ("]", "}") and text[at] != closing:
            inner = _CLOSERS.get(_around(text, opened)) == text[at]
            return _inner_left_open(text, at, opened) if inner else _other_closer(text, at, opened)
        return _left_open(text, at, opened)
    first, end = _item(opened, close, commas, at)
    before = _content_end(text, first, at)
    if text[at : at + 1] == ":":
        missing = _comma_before_key(text, first, at) if "\n" in text[first:at].strip() or opening == "{" else None
        return missing if missing is not None else _colon_in_value(text, first, end, at, opening)
    if opening == "{" and text[before - 1] in "\"'" and not _COLON.search(text, first, at) and text[at] not in "\"'":
        return _missing_colon(before)
    if before > first and (text[before - 1] in "\"']}" or "\n" in text[before:at]):
        if "\n" in text[before:at] or text[at] in "\"'[{" or opening == "{":
            return _missing_comma(before)
        return _behind_quote(text, first, end, at)
    return _unknown_item(text, first, end, at, opened)


def no_item(text: str, at: int) -> SyntaxProblem | None:
    """Explain a dash or an extra comma in brackets where an item must start."""
    character = text[at : at + 1]
    if character == ",":
        return SyntaxProblem(
            codes.YAML_SYNTAX,
            "missing item before this comma",
            at,
            at + 1,
            label="nothing before it",
            help="remove the comma, or add the missing item",
            fix=Edit(at, at + 1, ""),
            edits=(Edit(at, at + 1, " "),),
        )
    if character == "-" and text[at + 1 : at + 2] in (" ", "\t", "\n"):
        return _dashes(text, at)
    return None


def _scan(text: str, opened: int) -> tuple[int | None, list[int]]:
    """Return the closing bracket of the one at `opened`, and the commas between its items.

    None if there is none before a line that can only be outside the bracket.
    """
    outer = indentation(text, line_start(text, opened))
    stack: list[str] = []
    commas: list[int] = []
    place, limit = opened, min(len(text), opened + _LONGEST)
    while (token := _TOKEN.search(text, place, limit)) is not None:
        place = token.end()
        if token["quote"]:
            whole = _QUOTED[token["quote"]].match(text, token.start()) if _begins_value(text, token.start()) else None
            place = whole.end() if whole is not None else place
        elif token["comment"]:
            place = line_end(text, place)
        elif token["open"]:
            stack.append(token["open"])
        elif token["close"]:
            if not stack or _CLOSERS[stack.pop()] != token["close"]:
                return None, commas
            if not stack:
                return token.start(), commas
        elif token["comma"]:
            if len(stack) == 1:
                commas.append(token.start())
        elif _is_outside(text, place, outer):
            return None, commas
    return None, commas


def _begins_value(text: str, at: int) -> bool:
    """Whether a quote starts a value, and is not inside a word such as `it's`."""
    return text[at - 1 : at] in " \t\n[{,:"


def _is_outside(text: str, start: int, outer: int) -> bool:
    """Whether the line at `start` belongs to the block around the brackets."""
    end = line_end(text, start)
    line = text[start:end].strip()
    if not line or line[0] in "]}#" or indentation(text, start) > outer:
        return False
    return bool(LOOKS_LIKE_KEY.match(text, start, end))


def _item(opened: int, close: int, commas: list[int], at: int) -> tuple[int, int]:
    """Return the start and end of the item that contains `at`."""
    first = max((comma for comma in commas if comma < at), default=opened) + 1
    end = min((comma for comma in commas if comma >= at), default=close)
    return first, max(end, at)


def _content_end(text: str, first: int, at: int) -> int:
    """Return the end of the text before `at`, without white space and comments."""
    end = at
    while end > first:
        start = max(line_start(text, end), first)
        piece = re.split(r"(?:^|[ \t])#", text[start:end], maxsplit=1)[0].rstrip()
        if piece:
            return start + len(piece)
        end = start - 1
    return first


def _missing_comma(before: int) -> SyntaxProblem:
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "missing comma between two items",
        before,
        before + 1,
        label="missing comma",
        help="write `,` here, at the end of the item",
        fix=Edit(before, before, ","),
        edits=(Edit(before, before, ","),),
    )


def _missing_colon(before: int) -> SyntaxProblem:
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "missing colon between the key and its value",
        before,
        before + 1,
        label="missing colon",
        help="write `: ` here",
        fix=Edit(before, before, ":"),
        edits=(Edit(before, before, ":"),),
    )


def _comma_before_key(text: str, first: int, at: int) -> SyntaxProblem | None:
    """`{a: 1 b: 2}`, and `a: 1` on one line with `b: 2` on the next: the comma after the first value is missing."""
    start = line_start(text, at)
    if start > first and _COLON.search(text, first, start):
        before = _content_end(text, first, start - 1)
        return _missing_comma(before) if _KEY_OF_NEXT_LINE.match(text, before) else None
    colon = _COLON.search(text, first, at)
    words = text[colon.end() : at].split() if colon is not None else []
    if len(words) != 2 or not _WORD.fullmatch(words[1]):
        return None
    return _missing_comma(text.rindex(words[0], first, text.rindex(words[1], first, at)) + len(words[0]))


def _colon_in_value(text: str, first: int, end: int, at: int, opening: str) -> SyntaxProblem:
    colon = _COLON.search(text, first, at) if opening == "{" else None
    start = colon.end() if colon is not None else first
    start, end = _stripped(text, start, end)
    value = text[start:end]
    key = text[first : colon.start()].strip() if colon is not None else ""
    what = f"the value of `{shorten(key)}`" if key else "this item"
    simple = "\n" not in value and '"' not in value
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"{what} contains a `:`, so it must be quoted",
        start,
        end,
        label="not quoted",
        help=f"write {shorten(quote_value(value))}",
        fix=Edit(start, end, quote_value(value)) if simple else None,
        edits=quoting_edits(text, start, end),
        lossy="\n" in value,
    )


def _behind_quote(text: str, first: int, end: int, at: int) -> SyntaxProblem:
    start, stop = _stripped(text, first, end)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "text after the closing quote of this item",
        at,
        max(stop, at + 1),
        label="after the closing quote",
        help=f"quote the whole item: {shorten(quote_value(text[start:stop]))}; or add a comma between two items",
        edits=quoting_edits(text, start, stop),
        lossy=":" in text[start:stop],
    )


def _unknown_item(text: str, first: int, end: int, at: int, opened: int) -> SyntaxProblem:
    start, stop = _stripped(text, first, end)
    closing = _CLOSERS[text[opened]]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"expected `,` or `{closing}` here",
        at,
        at + 1,
        label="not an item and not the end",
        help=f"add a comma between two items, or quote this one: {shorten(quote_value(text[start:stop]))}",
        related=(("opened here", opened, opened + 1),),
        edits=quoting_edits(text, start, stop),
        lossy=":" in text[start:stop],
    )


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in " \t\r\n":
        start += 1
    while end > start and text[end - 1] in " \t\r\n":
        end -= 1
    return start, end


def _other_closer(text: str, at: int, opened: int) -> SyntaxProblem:
    closing = _CLOSERS[text[opened]]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{text[opened]}` is closed by `{text[at]}`",
        at,
        at + 1,
        label=f"expected `{closing}`",
        help=f"write `{closing}` here",
        related=(("opened here", opened, opened + 1),),
        fix=Edit(at, at + 1, closing),
        edits=(Edit(at, at + 1, closing),),
    )


def _around(text: str, opened: int) -> str:
    """Return the bracket around the one at `opened`; None if there is none on the lines shortly before."""
    depth = 0
    for place in range(opened - 1, max(opened - _LONGEST, -1), -1):
        if text[place] in "]}":
            depth += 1
        elif text[place] in "[{":
            if depth == 0:
                return text[place]
            depth -= 1
    return ""


def _inner_left_open(text: str, at: int, opened: int) -> SyntaxProblem:
    """Explain an outer bracket that is closed before the inner one: `{a: [1, 2}`."""
    end = max(_content_end(text, opened + 1, at), opened + 1)
    return _never_closed(text, opened, end)


def _left_open(text: str, at: int, opened: int) -> SyntaxProblem:
    outer = indentation(text, line_start(text, opened))
    end = line_end(text, opened)
    while end < min(at, len(text)):  # up to the last line that can be part of it
        following = end + 1
        if text[following : line_end(text, following)].strip() and _is_outside(text, following, outer):
            break
        end = line_end(text, following)
    end = max(_content_end(text, opened + 1, min(end, len(text))), opened + 1)
    if text[end - 1] == ",":
        end -= 1
    return _never_closed(text, opened, end)


def _never_closed(text: str, opened: int, end: int) -> SyntaxProblem:
    closing = _CLOSERS[text[opened]]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"the bracket `{text[opened]}` is never closed",
        opened,
        opened + 1,
        label="opened here",
        help=f"add a `{closing}` after the last item",
        fix=Edit(end, end, closing),
        edits=(Edit(end, end, closing),),
    )


def _dashes(text: str, at: int) -> SyntaxProblem:
    """Explain `- item` lines in brackets: all of them at once."""
    edits: list[Edit] = []
    start = line_start(text, at)
    place, last = start, 0
    while len(edits) < MAX_EDITS and (dash := _DASH.match(text, place)) is not None:
        if last and text[last - 1] not in ",[{":
            edits.append(Edit(last, last, ","))
        edits.append(Edit(dash.start(1), dash.end(1), " "))
        end = line_end(text, place)
        last = _content_end(text, place, end)
        place = min(end + 1, len(text))
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "items in brackets are written without `-`",
        at,
        at + 1,
        label="not allowed in brackets",
        help="write `[one, two]`, or lines that start with `- `, without brackets",
        edits=tuple(edits) or (Edit(at, at + 1, " "),),
    )

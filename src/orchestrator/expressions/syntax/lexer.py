"""Splits the text between template braces into tokens."""

from __future__ import annotations

import re
from typing import Final

Token = tuple[str, str, int, int]
"""Kind, text, start, end. An operator's or keyword's kind is its own text; else `name`, `integer`, `float`, `string`,
`end` (the closing brace of the tag) or `bad`."""

KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})

_TOKEN = re.compile(
    r"""
    \s*(?:
      ([^\W\d]\w*)                                                            # 1 name
    | ((?<!\.)\d[\d_]*(?:\.\d[\d_]*(?:[eE][+-]?\d+)?|[eE][+-]?\d+))           # 2 float
    | (0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*)                   # 3 integer
    | ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")                                   # 4 string
    | ([-+]?[%}]\}|//|\*\*|[=!<>]=|[-+*/%~<>()\[\]{},.:|=])                   # 5 operator
    | (\$(?:item|index|iteration|is_first|is_last)\b)                         # 6 a loop variable with `$`
    | (\S)                                                                    # 7 anything else
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_HYPHENATED = re.compile(r"\w+(?:-\w+)+")

_OPENING: Final = frozenset("([{")
_OPENERS: Final = frozenset("{%#")
CLOSERS: Final = frozenset({"}}", "-}}", "+}}", "%}", "-%}", "+%}"})


def tokenize(text: str, position: int, *, hyphenated: frozenset[str]) -> list[Token]:
    """Read tokens from `position` to the closing brace outside all brackets, or to the opening brace of another tag.

    The last token has the kind `end`; its text is the closing brace, or empty if there is none.
    `hyphenated` are names that contain `-`; the longest match is read as one name.
    """
    tokens: list[Token] = []
    add = tokens.append
    depth = 0
    length = len(text)
    match = _TOKEN.match
    while True:
        found = match(text, position)
        if found is None:
            add(("end", "", length, length))
            return tokens
        group = found.lastindex
        start, position = found.span(group)  # type: ignore[arg-type] # one group always takes part
        value = text[start:position]
        if group == 1:
            if hyphenated and position < length and text[position] == "-":
                value = _longest(text, start, value, hyphenated)
                position = start + len(value)
            add((value if value in KEYWORDS else "name", value, start, position))
        elif group == 5:
            if value in CLOSERS:
                if depth == 0:
                    add(("end", value, start, position))
                    return tokens
                value = value[0]  # inside brackets it closes an object, or is an operator
                position = start + 1
            if value in _OPENING:
                if value == "{" and text[position : position + 1] in _OPENERS:
                    add(("end", "", start, start))  # the next tag starts: a tag never contains two adjacent braces
                    return tokens
                depth += 1
            elif value in ")]}" and depth:
                depth -= 1
            add((value, value, start, position))
        elif group == 4:
            add(("string", value, start, position))
        elif group == 3:
            add(("integer", value, start, position))
        elif group == 2:
            add(("float", value, start, position))
        elif group == 6:
            add(("name", value[1:], start, position))
        else:
            add(("bad", value, start, position))


def _longest(text: str, start: int, name: str, hyphenated: frozenset[str]) -> str:
    found = _HYPHENATED.match(text, start)
    candidate = found.group() if found else name
    while candidate not in hyphenated:
        cut = candidate.rfind("-")
        if cut < 0:
            return name
        candidate = candidate[:cut]
    return candidate if "-" in candidate else name


_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][\da-fA-F]{2})\\u(?P<low>[dD][c-fC-F][\da-fA-F]{2})"
    r"|(?P<octal>[0-7]{1,3})|x(?P<x>[\da-fA-F]{2})|u(?P<u>[\da-fA-F]{4})|U(?P<U>[\da-fA-F]{8})|(?P<one>.))",
    re.DOTALL,
)
_ESCAPES: Final = {
    "\n": "",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def unescape(literal: str) -> str | None:
    """Return the value of a quoted literal; None if an escape is malformed."""
    body = literal[1:-1]
    if "\\" not in body:
        return body
    bad = False

    def one(found: re.Match[str]) -> str:
        nonlocal bad
        plain = found["one"]
        if plain is not None:
            bad = bad or plain in "xuUN"
            return _ESCAPES.get(plain, "\\" + plain)
        if found["high"]:  # a pair, as `json.dumps` writes characters beyond U+FFFF
            return chr(0x10000 + ((int(found["high"], 16) & 0x3FF) << 10) + (int(found["low"], 16) & 0x3FF))
        code = int(found["octal"], 8) if found["octal"] else int(found["x"] or found["u"] or found["U"], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            bad = True
            return ""
        return chr(code)

    result = _ESCAPE.sub(one, body)
    return None if bad else result

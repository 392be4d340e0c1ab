"""What of a statement is code: SQL without the contents of its literals and comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPAQUE: Final = re.compile(
    r"""
    --[^\n]*                                  # comments
    | /\*.*?(?:\*/|\Z)
    | '(?:[^']|'')*(?:'|\Z)                   # texts and quoted names
    | "(?:[^"]|"")*(?:"|\Z)
    | `[^`]*(?:`|\Z)
    | \[[A-Za-z_][^\]\n]*\]                   # names as SQLite accepts them
    | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)  # texts of PostgreSQL
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME: Final = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")
_CAST: Final = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)(?=\s*::)")
_COLON: Final = re.compile(r"(?<!\\):")


def code_of(sql: str) -> str:
    """Return the code: literals and comments are a space each."""
    return "".join(text if is_code else " " for text, is_code in _pieces(sql))


def first_word(sql: str) -> str:
    """Return the first word of the code, in lower case."""
    found = re.search(r"[A-Za-z]\w*", code_of(sql))
    return found[0].lower() if found else ""


def is_one_statement(sql: str) -> bool:
    """Whether nothing but space follows the first semicolon, and something precedes it."""
    first, _, rest = code_of(sql).partition(";")
    return bool(first.strip()) and not rest.strip(" \t\r\n;")


def names_read(sql: str) -> set[str]:
    """Return the names of the values that the code reads, as `:name`."""
    return set(_NAME.findall(code_of(sql)))


def for_binding(sql: str) -> str:
    """Return the statement as SQLAlchemy reads it: only the names in its code stand for values.

    A name before a cast is put into parentheses: in `:id::int` it would not be found.
    """
    return "".join(_CAST.sub(r"(:\1)", text) if is_code else _COLON.sub(r"\\:", text) for text, is_code in _pieces(sql))


def _pieces(sql: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a statement, each with whether it is code."""
    end = 0
    for found in _OPAQUE.finditer(sql):
        yield sql[end : found.start()], True
        yield found[0], False
        end = found.end()
    yield sql[end:], True

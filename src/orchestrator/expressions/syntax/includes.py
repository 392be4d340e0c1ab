"""Finds the files that a template includes: `{% include 'style.md' %}`, outside comments and `{% raw %}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.expressions.syntax.lexer import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAG: Final = re.compile(r"\{[{%#]")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*-?%\}")
_END_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_INCLUDE: Final = re.compile(r"\{%([-+]?)\s*include\s+('[^'\n]*'|\"[^\"\n]*\")\s*([-+]?)%\}")


class Include(Struct, frozen=True):
    """The statement between `start` and `end` of a text; `path` begins at `path_start`.

    `strips_before` and `strips_after` say whether it removes the white space next to it, as `{%-` and `-%}` do.
    """

    path: str
    start: int
    end: int
    path_start: int
    strips_before: bool
    strips_after: bool


def includes_in(text: str) -> Iterator[Include]:
    """Yield the include statements of a template whose file is constant, in their order."""
    position = 0
    while (found := _TAG.search(text, position)) is not None:
        start = found.start()
        if found.group() == "{#":
            end = text.find("#}", start + 2)
            position = len(text) if end < 0 else end + 2
        elif raw := _RAW.match(text, start):
            closing = _END_RAW.search(text, raw.end())
            position = len(text) if closing is None else closing.end()
        elif statement := _INCLUDE.match(text, start):
            path = statement[2][1:-1]
            before, after = statement[1] == "-", statement[3] == "-"
            yield Include(path, start, statement.end(), statement.start(2) + 1, before, after)
            position = statement.end()
        else:
            closer = tokenize(text, start + 2, hyphenated=frozenset())[-1]
            position = closer[3] if closer[1] else start + 2

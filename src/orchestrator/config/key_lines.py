"""The lines of the keys in a TOML file, for error messages: the standard library's reader does not report them."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Keys = tuple[str, ...]
"""The keys that lead to a setting: `("models", "openai:gpt-5", "quality")`."""

_MOST_READ = 2_000_000
"""Characters that are read at most, so that a value of many lines, which is read again for each, costs no time."""


def key_lines(text: str) -> dict[Keys, int]:
    """Return the line on which each key of a valid TOML text is first written, counted from 1.

    A TOML text is a sequence of statements, and no beginning of a statement is one. So each is the fewest lines that
    can be read by themselves.
    """
    found: dict[Keys, int] = {}
    header: Keys = ()
    statement, first, read = "", 1, 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not statement:
            first = number
        statement += f"{line}\n"
        read += len(statement)
        if read > _MOST_READ:
            break
        try:
            values = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        paths = list(_paths(values))
        if statement.lstrip().startswith("["):
            header = paths[-1]
        else:
            paths = [(*header, *path) for path in paths]
        for path in paths:
            found.setdefault(path, first)
        statement = ""
    return found


def _paths(values: Mapping[str, Any]) -> Iterator[Keys]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]
        if isinstance(value, dict):
            yield from ((key, *path) for path in _paths(value))

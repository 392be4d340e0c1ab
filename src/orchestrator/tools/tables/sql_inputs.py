"""Substitutes named values into SQL as literals: `:since`. Values are never interpreted as SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.text.words import quoted_list
from orchestrator.tools.tables.invalid_data import bad_data

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|--[^\n]*|/\*.*?\*/|\w?::|\w:"
    r"|:(?P<name>[A-Za-z_]\w*)",
    re.DOTALL,
)
"""Strings, quoted names, comments, casts and slices, in which a colon has another meaning; or a name to substitute."""


def substitute_inputs(sql: str, inputs: Mapping[str, Any], what: str) -> str:
    """Return the SQL with each `:name` replaced by a literal; `what` names the SQL in errors.

    Raises:
        StepError: ORC710, a value is missing, or has no literal in SQL.
    """

    def put(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in inputs:
            given = quoted_list(inputs)
            raise bad_data(f"`{what}` reads `:{name}`, which is not in `inputs`", f"`inputs` has {given}")
        return _literal(inputs[name], name)

    return _PIECE.sub(put, sql) if inputs else sql


def _literal(value: Any, name: str) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return f"({value!r})"  # or `- :n` would start a comment if the value is negative
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            kind = "a list" if isinstance(value, list) else "an object"
            raise bad_data(
                f"`inputs.{name}` is {kind}; SQL accepts strings, numbers, booleans and null",
                "pass a list of objects as a table",
            )

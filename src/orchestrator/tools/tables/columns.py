"""The types of CSV columns: a column becomes numbers or booleans only if that loses nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ColumnType = Literal["string", "integer", "number", "boolean"]

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.(?P<decimals>[0-9]+))?(?P<exponent>[eE][-+]?[0-9]{1,3})?\Z")
_EXACT_DIGITS: Final = 15
"""Digits that every 64-bit number preserves."""


def column_values(cells: Sequence[str | None], type: ColumnType | None = None) -> list[Any]:
    """Return the cells of a column as integers, numbers or booleans if all of them are, else as text; empty is null.

    A cell is a number only if the number can be converted back to the same text: `007`, `1E5` and
    `12345678901234567890` stay text. `1.50` is a number if all cells have two decimals, like amounts; among `1.9` and
    `1.10` it is text. With `type` all cells are converted to that type.

    Raises:
        ValueError: A cell cannot be converted to `type`.
    """
    if type is not None:
        return _of_type(cells, type)
    given = [cell for cell in cells if cell]
    if not given:
        return list(cells)
    convert: Callable[[str], Any] | None = None
    if all(map(_INTEGER.match, given)) and "-0" not in given:
        convert = int
    elif given[0] in ("true", "false"):
        convert = _boolean if all(cell in ("true", "false") for cell in given) else None
    elif _are_numbers(given):
        convert = _number
    return list(cells) if convert is None else [convert(cell) if cell else None for cell in cells]


def _are_numbers(cells: Sequence[str]) -> bool:
    canonical, decimals = True, set()
    for cell in cells:
        found = _NUMBER.match(cell)
        if found is None or not _keeps(cell, found):
            return False
        places = found["decimals"] or ""
        decimals.add(-1 if found["exponent"] else len(places))
        canonical = canonical and (found["exponent"] is not None or not places.endswith("0") or places == "0")
    return canonical or (len(decimals) == 1 and -1 not in decimals)


def _keeps(cell: str, found: re.Match[str]) -> bool:
    """Whether the number keeps the digits of its text, and the text looks like a number and not like a code."""
    if found["exponent"] is None and found["decimals"] is None:
        return _INTEGER.match(cell) is not None and cell != "-0"
    if found["exponent"] and not found["decimals"] and found["exponent"][1] not in "+-":
        return False  # `5e10` may be an article number or part of a digest
    if len(cell) <= _EXACT_DIGITS and not found["exponent"]:
        return True
    from decimal import Decimal

    number = float(cell)
    return abs(number) < float("inf") and Decimal(repr(number)) == Decimal(cell)


def _number(cell: str) -> int | float:
    return int(cell) if _INTEGER.match(cell) else float(cell)


def _boolean(cell: str) -> bool:
    return cell == "true"


def _of_type(cells: Sequence[str | None], type: ColumnType) -> list[Any]:
    if type == "string":
        return list(cells)
    values: list[Any] = []
    for row, cell in enumerate(cells):
        bare = (cell or "").strip()
        value: Any = None
        if bare and type == "boolean":
            value = {"true": True, "false": False}.get(bare.lower())
        elif bare and _WRITTEN[type].match(bare):
            value = int(bare) if type == "integer" or _INTEGER.match(bare) else float(bare)
        if bare and (value is None or value in (float("inf"), float("-inf"))):
            raise ValueError(f"is not of type `{type}` in row {row}: `{bare[:40]}`")
        values.append(value)
    return values


_WRITTEN: Final = {
    "integer": re.compile(r"[-+]?[0-9]{1,300}\Z"),
    "number": re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z"),
}

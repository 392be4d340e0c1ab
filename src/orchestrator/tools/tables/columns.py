"""The types of CSV columns: a column becomes numbers or booleans only if that loses nothing."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.text.csv_text import ColumnType

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.(?P<decimals>[0-9]+))?(?P<exponent>[eE][-+]?[0-9]{1,3})?\Z")
_EXACT_DIGITS: Final = 15
"""Digits that every 64-bit number preserves."""

_BOOLEANS: Final = frozenset({"true", "false"})


class Column:
    """Finds out how a column is read, from all of its cells: as integers, numbers or booleans, or else as text.

    A cell is a number only if the number can be converted back to the same text: `007`, `1E5` and
    `12345678901234567890` stay text. `1.50` is a number if all cells have two decimals, like amounts; among `1.9` and
    `1.10` it is text. With `type` all cells are converted to that type. The memory that this takes does not depend on
    the number of cells.
    """

    __slots__ = ("_booleans", "_canonical", "_count", "_decimals", "_empty", "_integers", "_numbers", "_type")

    def __init__(self, type: ColumnType | None = None) -> None:
        self._type = type
        self._count = 0
        self._empty = self._integers = self._booleans = self._numbers = self._canonical = True
        self._decimals: set[int] = set()

    def add(self, cells: Sequence[str | None]) -> None:
        """Take the next cells of the column.

        Raises:
            ValueError: A cell cannot be converted to the column's `type`.
        """
        if self._type == "string":
            return
        if self._type is not None:
            for row, cell in enumerate(cells, self._count):
                try:
                    typed_cell(cell, self._type)
                except ValueError as error:
                    raise ValueError(f"{error} in row {row}: `{(cell or '').strip()[:40]}`") from None
            self._count += len(cells)
            return
        given = [cell for cell in cells if cell]
        if not given:
            return
        self._empty = False
        if all(map(_INTEGER.match, given)) and "-0" not in given:
            self._booleans = False
            self._decimals.add(0)
            return
        self._integers = False
        self._booleans = self._booleans and _BOOLEANS.issuperset(given)
        self._numbers = self._numbers and all(map(self._is_number, given))

    def _is_number(self, cell: str) -> bool:
        found = _NUMBER.match(cell)
        if found is None or not _keeps(cell, found):
            return False
        places = found["decimals"] or ""
        self._decimals.add(-1 if found["exponent"] else len(places))
        self._canonical = self._canonical and (
            found["exponent"] is not None or not places.endswith("0") or places == "0"
        )
        return True

    def values(self, cells: Sequence[str | None]) -> list[Any]:
        """Return cells of the column as its values; an empty cell is null.

        Raises:
            ValueError: A cell is not like those that were added.
        """
        convert = self.conversion()
        return list(cells) if convert is None else [convert(cell) if cell else None for cell in cells]

    def conversion(self) -> Callable[[str], Any] | None:
        """Return what converts a cell that is not empty; None if the column is text."""
        if self._type is not None:
            return None if self._type == "string" else partial(typed_cell, type=self._type)
        if self._empty:
            return None
        if self._integers:
            return int
        if self._booleans:
            return _boolean
        alike = len(self._decimals) == 1 and -1 not in self._decimals
        return _number if self._numbers and (self._canonical or alike) else None


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


def typed_cell(cell: str | None, type: ColumnType) -> Any:
    """Return a cell of a CSV file as a value of a type; null if it is blank.

    Raises:
        ValueError: It is not one.
    """
    bare = (cell or "").strip()
    value: Any = None
    if type == "string":
        return cell
    if bare and type == "boolean":
        value = {"true": True, "false": False}.get(bare.lower())
    elif bare and _WRITTEN[type].match(bare):
        value = int(bare) if type == "integer" or _INTEGER.match(bare) else float(bare)
    if bare and (value is None or value in (float("inf"), float("-inf"))):
        raise ValueError(f"is not of type `{type}`")
    return value


_WRITTEN: Final = {
    "integer": re.compile(r"[-+]?[0-9]{1,300}\Z"),
    "number": re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z"),
}

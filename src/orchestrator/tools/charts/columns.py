"""The columns of a chart: their kind, their values as numbers, times and labels, and what is wrong with them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
from orchestrator.text.words import describe_value, quoted_list

Row = dict[str, Any]
ColumnKind = Literal["number", "time", "label"]

MISSING: Final = "(none)"
"""The label of null."""

_LONGEST: Final = 1_000
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)?",
    re.ASCII,
)


class ChartColumn(Struct, frozen=True):
    """The values of a column: numbers, times in milliseconds since 1970 in UTC, or labels. None is a missing value."""

    name: str
    kind: ColumnKind
    values: Sequence[Any]

    @property
    def distinct(self) -> list[Any]:
        """The values without None, each once, in the order of the rows."""
        return list(dict.fromkeys(value for value in self.values if value is not None))


def chart_error(message: str, help: str | None = None) -> StepError:
    """Return the error for rows or parameters that cannot be drawn."""
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)


def read_column(rows: Sequence[Row], parameter: str, name: str) -> ChartColumn:
    """Return a column of numbers, times (text in ISO 8601), or else of labels.

    Raises:
        StepError: No row has the column.
    """
    values = _values(rows, parameter, name)
    given = [value for value in values if value is not None]
    if given and all(map(_is_number, given)):
        return number_column(rows, parameter, name)
    if given and all(isinstance(value, str) and _TIME.fullmatch(value) for value in given):
        try:
            return ChartColumn(name, "time", [None if value is None else _milliseconds(value) for value in values])
        except ValueError:  # such as the 31st of February
            pass
    return label_column(rows, parameter, name)


def number_column(rows: Sequence[Row], parameter: str, name: str) -> ChartColumn:
    """Return a column of numbers.

    Raises:
        StepError: No row has the column, or a value is not a finite number.
    """
    values = _values(rows, parameter, name)
    for index, value in enumerate(values):
        if value is not None and not _is_number(value):
            raise chart_error(
                f"`{parameter}` needs numbers, but the column `{name}` has {describe_value(value)} in row {index}",
                "choose another column, or make numbers of its values, for example with `data.select`",
            )
    return ChartColumn(name, "number", [None if value is None else float(value) for value in values])


def label_column(rows: Sequence[Row], parameter: str, name: str) -> ChartColumn:
    """Return the values of a column as labels.

    Raises:
        StepError: No row has the column, or a value is a list, an object or a very long text.
    """
    return ChartColumn(name, "label", [_label(value, parameter, name) for value in _values(rows, parameter, name)])


def shown_text(text: str) -> str:
    """Return a text on one line, without the characters that XML and JSON files cannot hold."""
    return " ".join("".join(map(_printable, text)).split())


def _printable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if kind == "Cs" or _is_reserved(character) else character


def _is_reserved(character: str) -> bool:
    return ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF


def _values(rows: Sequence[Row], parameter: str, name: str) -> list[Any]:
    if not any(name in row for row in rows):
        known = list({key: None for row in rows for key in row})
        near = suggest(name, known)
        help = f"did you mean `{near}`?" if near else f"the columns are {quoted_list(known, most=20)}"
        raise chart_error(f"`{parameter}` names the column `{name}`, which the rows do not have", help)
    return [row.get(name) for row in rows]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _milliseconds(text: str) -> int:
    parsed = datetime.fromisoformat(text if len(text) > len("2026-01") else f"{text}-01")
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def _label(value: Any, parameter: str, name: str) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list | dict):
        raise chart_error(f"`{parameter}` needs single values, but the column `{name}` has {describe_value(value)}")
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST:
        raise chart_error(
            f"the column `{name}` has a text of {len(text):,} characters, which is too long for a label",
            "choose another column, or shorten its texts",
        )
    return shown_text(text)

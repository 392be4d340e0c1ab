"""Values of databases as JSON data, without a loss: what has no form in JSON is refused."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = 15  # that a float keeps


def json_row(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row as an object.

    Raises:
        StepError: A value has no form in JSON; the message names its column and a way out.
    """
    return {name: _json_value(value, name) for name, value in zip(columns, row, strict=True)}


def _json_value(value: Any, column: str) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Decimal() if value.is_finite() and len(value.as_tuple().digits) <= _DIGITS:
            return int(value) if value == value.to_integral_value() and abs(value) < 10**_DIGITS else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case dict():
            return {str(key): _json_value(each, column) for key, each in value.items()}
        case list() | tuple():
            return [_json_value(each, column) for each in value]
        case float() | Decimal():
            raise _lossy(column, f"the number {value}", "cast it to text in the query")
        case bytes() | memoryview():
            raise _lossy(column, "bytes", "encode them in the query, for example with `hex(...)`")
        case _:
            raise _lossy(column, f"a value of the type {type(value).__name__}", "cast it to text in the query")


def _lossy(column: str, what: str, help: str) -> StepError:
    message = f"the column `{column}` has {what}, which JSON cannot hold"
    return StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)

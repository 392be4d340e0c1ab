"""Parameters and results that the actions on tables share."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions.types.assignability import explain_mismatch
from orchestrator.expressions.types.value_types import Type
from orchestrator.tools.functions.annotations import describe_annotation
from orchestrator.tools.tables.results import Row, RowTable

EXTRA = ("data",)

Names = Annotated[str | list[str], "A column, or several."]
SqlInputs = Annotated[
    dict[str, Any] | None, "Values that the SQL reads as `:name`: strings, numbers, booleans and null."
]


def table_of(rows: list[Row], columns: list[str] | None = None) -> RowTable:
    """Return rows as the result of an action; without `columns`, with those of the rows."""
    names = columns if columns is not None else list({name: None for row in rows for name in row})
    return {"rows": rows, "columns": names, "count": len(rows)}


def listed(names: str | list[str] | None) -> list[str]:
    """Return columns that are given as one name, several or none."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else names


def check_described(columns: Mapping[str, Any], description: type) -> None:
    """Refuse a column whose description is not as this `TypedDict` says.

    Raises:
        StepError: ORC710, with the column and what is wrong.
    """
    for name, given in columns.items():
        problem = explain_mismatch(given, _type_of(description))
        if problem is not None:
            message = f"the description of the column `{name}` is invalid: {problem}"
            raise StepError(message, code=codes.INVALID_TOOL_INPUT, retryable=False)


@cache
def _type_of(description: type) -> Type:
    return describe_annotation(description, "in").type

"""The rules that a step gives for the values of a column."""

from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from orchestrator.tools.tables.results import Row

RuleType: TypeAlias = Literal["string", "integer", "number", "boolean", "date", "datetime", "array", "object"]


class ForeignColumn(TypedDict):
    """The column of another table that has the allowed values."""

    rows: Annotated[list[Row] | str, "The rows of the other table, or the path of its file."]
    column: Annotated[str, "Its column with the allowed values."]


class ColumnRules(TypedDict, total=False):
    """What the values of a column must be. A null breaks only `required`."""

    type: Annotated[RuleType, "Their type; `date` and `datetime` are texts in ISO 8601."]
    required: Annotated[bool, "Whether every row needs a value."]
    unique: Annotated[bool, "Whether no value may occur twice."]
    minimum: Annotated[int | float | str, "The least value: of numbers a number, of a `date` or `datetime` a text."]
    maximum: Annotated[int | float | str, "The greatest value."]
    min_length: Annotated[int, "The least length of texts and lists."]
    max_length: Annotated[int, "The greatest length of texts and lists."]
    pattern: Annotated[str, "A regular expression that must match somewhere in the text; anchor it with `^`, `$`."]
    enum: Annotated[list[Any], "The allowed values."]
    references: Annotated[ForeignColumn, "The column of another table that has the allowed values."]

"""The results of tools that return rows."""

from typing import Annotated, Any, TypedDict

Row = dict[str, Any]


class RowTable(TypedDict):
    """Rows as a list of objects, the column names, and the number of rows."""

    rows: Annotated[list[Row], "The rows, as a list of objects."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]


class WrittenTable(TypedDict):
    """The file that was written, the number of rows, and the size in bytes."""

    path: Annotated[str, "The path of the written file, as given."]
    count: Annotated[int, "The number of rows."]
    size: Annotated[int, "The size of the file in bytes."]


class ConvertedTable(TypedDict):
    """The rows as a text in the new format, and as data."""

    text: Annotated[str, "The rows in the new format."]
    rows: Annotated[list[Row], "The rows, as a list of objects."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]


class FrequentValue(TypedDict):
    """A value of a column, and how many rows have it."""

    value: Annotated[Any, "The value; a long text is shortened."]
    count: Annotated[int, "The number of rows that have it."]


class ColumnProfile(TypedDict):
    """What the values of one column are like."""

    column: Annotated[str, "The name of the column."]
    type: Annotated[
        str,
        "`integer`, `number`, `string`, `date`, `datetime` (texts in ISO 8601), `boolean`, `array`, `object`, `mixed` "
        "or `null`.",
    ]
    types: Annotated[dict[str, int], "How many values are of each type; several for a `mixed` column."]
    count: Annotated[int, "The number of values that are not null."]
    nulls: Annotated[int, "The number of rows without a value."]
    distinct: Annotated[int, "The number of different values."]
    minimum: Annotated[Any, "The least number, date or text; null for other types."]
    maximum: Annotated[Any, "The greatest number, date or text; null for other types."]
    mean: Annotated[float | None, "The mean of numbers, else null."]
    standard_deviation: Annotated[float | None, "The standard deviation of numbers (of a sample), else null."]
    quantiles: Annotated[dict[str, float], "The quantiles of numbers by name: `p25`, `p50` for the median, `p75`."]
    min_length: Annotated[int | None, "The least length of texts and lists, else null."]
    max_length: Annotated[int | None, "The greatest length of texts and lists, else null."]
    most_frequent: Annotated[list[FrequentValue], "The most frequent values, in order of their number."]


class TableProfile(TypedDict):
    """What the columns of a table are like."""

    profile: Annotated[list[ColumnProfile], "An object for each column, in order."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]
    duplicates: Annotated[int, "The number of rows that repeat an earlier row."]
    text: Annotated[str, "The profile as a Markdown table."]


class RowViolation(TypedDict):
    """A value, a row or a table that breaks a rule."""

    row: Annotated[int | None, "The index of the row, from 0; null for a rule of the whole table."]
    column: Annotated[str | None, "The column; null for a rule of several columns or of the table."]
    rule: Annotated[str, "The rule that is broken, such as `type`, `maximum` or `unique`."]
    value: Annotated[Any, "The value; a long one is shortened."]
    message: Annotated[str, "What is wrong with it."]


class RuleCount(TypedDict):
    """How often a rule was broken."""

    column: Annotated[str | None, "The column; null for a rule of several columns or of the table."]
    rule: Annotated[str, "The rule that is broken."]
    count: Annotated[int, "The number of violations."]


class TableValidation(TypedDict):
    """Whether a table keeps its rules, and where it does not."""

    valid: Annotated[bool, "Whether no rule is broken."]
    violations: Annotated[list[RowViolation], "The violations in order of their rows, at most `max_violations`."]
    violation_count: Annotated[int, "The number of all violations."]
    totals: Annotated[list[RuleCount], "The number of violations of each broken rule, the most frequent first."]
    count: Annotated[int, "The number of rows."]
    invalid_count: Annotated[int, "The number of rows with a violation."]
    rows: Annotated[list[Row], "The rows that `keep` asks for; none without it."]

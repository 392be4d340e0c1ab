"""Profile a table, and validate it against rules."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import plural
from orchestrator.tools.builtin.data.parameters import EXTRA, check_described
from orchestrator.tools.builtin.rows import Rows, load_rows, rows_format
from orchestrator.tools.builtin.stored import check_source, checks_sources
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.tables.column_rules import ColumnRules
from orchestrator.tools.tables.results import Row, TableProfile, TableValidation
from orchestrator.tools.tables.rule_checks import check_rules, read_cell

_MOST_FREQUENT = 100
_MOST_VIOLATIONS = 10_000
_IN_MESSAGE = 10
_NO_ROWS: list[Row] = []


def _wrong(message: str, help: str | None = None) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)


def _check_quantiles(quantiles: list[float]) -> None:
    wrong = next((each for each in quantiles if not 0 <= each <= 1), None)
    if wrong is not None:
        raise _wrong(f"the quantile {wrong:g} is not from 0 to 1", "for example `quantiles: [0.1, 0.5, 0.9]`")


def _check_most_frequent(number: int) -> None:
    if not 0 <= number <= _MOST_FREQUENT:
        raise _wrong(f"`most_frequent` is {number}, and must be from 0 to {_MOST_FREQUENT}")


def _check_max_violations(number: int) -> None:
    if not 0 <= number <= _MOST_VIOLATIONS:
        raise _wrong(f"`max_violations` is {number}, and must be from 0 to {_MOST_VIOLATIONS:,}")


def _check_columns(columns: dict[str, ColumnRules]) -> None:
    check_described(columns, ColumnRules)
    check_rules(columns)


@tool(primary="profile", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
def profile(
    rows: Rows,
    context: ToolContext,
    columns: Annotated[list[str] | None, "The columns; default: all."] = None,
    quantiles: Annotated[
        list[float] | None, "The quantiles of numbers; default: 0.25, 0.5 and 0.75.", Checked(_check_quantiles)
    ] = None,
    most_frequent: Annotated[
        int, "How many of the most frequent values of each column to list.", Checked(_check_most_frequent)
    ] = 5,
) -> TableProfile:
    """Describe the columns of a table: types, nulls, different values, statistics of numbers, frequent values.

    A column may have values of several types, and nothing is converted. `text` is a Markdown table, for a report or a
    model; it shows values of the table.

    Example:
        - id: known
          tool: data
          action: profile
          parameters:
            rows: sales.csv
    """
    from orchestrator.tools.tables.files import require_columns
    from orchestrator.tools.tables.profile import profile_table

    asked = quantiles if quantiles is not None else [0.25, 0.5, 0.75]
    _check_quantiles(asked)
    _check_most_frequent(most_frequent)
    table = load_rows(rows, context)
    require_columns(table, columns or [])
    names = columns if columns is not None else list({name: None for row in table for name in row})
    return profile_table(table, names, quantiles=asked, most_frequent=most_frequent, progress=context.progress)


def _validates(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    columns = known.get("columns")
    for rules in columns.values() if isinstance(columns, dict) else ():
        source = rules.get("references") if isinstance(rules, dict) else None
        path = source.get("rows") if isinstance(source, dict) else None
        refusal = check_source(permissions, path, "read", "columns") if isinstance(path, str) else None
        if refusal is not None:
            return refusal
    return checks_sources(rows="read")(known, permissions)


@tool(primary="valid", requires=EXTRA, refusal=_validates, reads=("rows",))
def validate(
    rows: Rows,
    columns: Annotated[
        dict[str, ColumnRules],
        "The rules of each column: `type`, `required`, `unique`, `minimum`, `maximum`, `min_length`, `max_length`, "
        "`pattern`, `enum`, and `references: {rows, column}` for values that another table must have.",
        Checked(_check_columns),
    ],
    context: ToolContext,
    unique: Annotated[list[list[str]] | None, "Combinations of columns whose values may not occur twice."] = None,
    other_columns: Annotated[bool, "Allow columns without rules."] = True,
    min_rows: Annotated[int | None, "The minimum number of rows."] = None,
    max_rows: Annotated[int | None, "The maximum number of rows."] = None,
    check: Annotated[bool, "Fail if a rule is broken; otherwise only report it."] = True,
    max_violations: Annotated[
        int, "How many violations to list; all are counted.", Checked(_check_max_violations)
    ] = 100,
    keep: Annotated[Literal["valid", "invalid"] | None, "Return these rows as `rows`."] = None,
) -> TableValidation:
    """Validate the rows of a table against rules, and report every value that breaks one, with the index of its row.

    A null breaks only `required`. Cells of a CSV file, which are text, are read as the `type` of their column.

    Example:
        - id: checked
          tool: data
          action: validate
          parameters:
            rows: orders.csv
            columns:
              id: {type: integer, required: true, unique: true}
              state: {enum: [open, paid, sent]}
              amount: {type: number, minimum: 0}
              email: {type: string, pattern: '^[^@ ]+@[^@ ]+$'}
              customer: {references: {rows: customers.csv, column: id}}
            check: false
    """
    from orchestrator.tools.tables.table_validation import TableRules, validate_table

    _check_columns(columns)
    _check_max_violations(max_violations)
    table, cells = _with_cells(rows, frozenset(name for name, rules in columns.items() if "type" in rules), context)
    rules = TableRules(
        columns=columns,
        unique=unique or (),
        other_columns=other_columns,
        min_rows=min_rows,
        max_rows=max_rows,
        allowed={name: _allowed(rules, context) for name, rules in columns.items() if "references" in rules},
    )
    most = max(max_violations, _IN_MESSAGE)
    found = validate_table(table, rules, cells=cells, most=most, progress=context.progress)
    first, total = found.first(), found.totals.total()
    if check and total:
        lines = "".join(f"\n  {each['message']}" for each in first[:_IN_MESSAGE])
        more = f"\n  and {total - _IN_MESSAGE:,} more" if total > _IN_MESSAGE else ""
        raise _wrong(
            f"the table has {plural(total, 'violation')} of its rules:{lines}{more}",
            "fix the rows, or set `check: false` and read `violations`",
        )
    kept = _NO_ROWS
    if keep is not None:
        kept = [row for row, invalid in zip(table, found.invalid, strict=True) if bool(invalid) == (keep == "invalid")]
    return {
        "valid": not total,
        "violations": first[:max_violations],
        "violation_count": total,
        "totals": found.counts(),
        "count": len(table),
        "invalid_count": found.invalid.count(1),
        "rows": kept,
    }


def _with_cells(rows: list[Row] | str, as_text: frozenset[str], context: ToolContext) -> tuple[list[Row], bool]:
    """Return rows, and whether they are those of a CSV file; then these columns are text."""
    from orchestrator.tools.tables.files import RowsLayout

    cells = isinstance(rows, str) and rows_format(rows, None) in ("csv", "tsv")
    return load_rows(rows, context, None, RowsLayout(as_text=as_text)), cells


def _allowed(rules: ColumnRules, context: ToolContext) -> frozenset[Any]:
    """Return the values of the column that another one references."""
    from orchestrator.tools.tables.cell_values import value_key
    from orchestrator.tools.tables.files import require_columns

    source, type_ = rules["references"], rules.get("type")
    name = source["column"]
    table, cells = _with_cells(source["rows"], frozenset([name] if type_ else []), context)
    require_columns(table, [name])
    values = (row.get(name) for row in table)
    return frozenset(value_key(read_cell(value, type_) if cells else value) for value in values if value is not None)

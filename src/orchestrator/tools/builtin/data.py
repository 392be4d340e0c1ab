"""Read, write and transform tables. Rows are a list of objects, or the path of a file."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.content import encoding_problem
from orchestrator.text.csv_text import ColumnType, delimiter_problem
from orchestrator.tools.builtin.access import Mode, checks_paths, file_errors, file_mode, permitted_location
from orchestrator.tools.builtin.filesystem import write_bytes
from orchestrator.tools.builtin.rows import Rows, load_rows, rows_format
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.tables.results import ConvertedTable, Row, RowTable, WrittenTable

Format = Annotated[Literal["csv", "tsv", "json", "jsonl", "parquet"] | None, "The format; default: by the file name."]


def _check_delimiter(delimiter: str) -> None:
    if delimiter and (problem := delimiter_problem(delimiter)) is not None:
        raise StepError(problem, code=codes.INVALID_TOOL_INPUT, help='for example `delimiter: ";"`', retryable=False)


def _check_encoding(encoding: str) -> None:
    if (problem := encoding_problem(encoding)) is not None:
        raise StepError(problem, code=codes.INVALID_TOOL_INPUT, retryable=False)


Delimiter = Annotated[
    str | None,
    "The CSV delimiter; default: a comma, or the one detected in the first lines.",
    Checked(_check_delimiter),
]
SqlInputs = Annotated[
    dict[str, Any] | None, "Values that the SQL reads as `:name`: strings, numbers, booleans and null."
]
Names = Annotated[str | list[str], "A column, or several."]

_EXTRA = ("data",)


def _tables_refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    tables = known.get("tables")
    for source in tables.values() if isinstance(tables, dict) else ():
        refusal = permissions.check_read(source, parameter="tables") if isinstance(source, str) else None
        if refusal is not None:
            return refusal
    return None


@tool(name="read", primary="rows", requires=_EXTRA, refusal=checks_paths(path="read"), reads=("path",))
def read_rows(
    path: Annotated[str, "The file."],
    context: ToolContext,
    format: Format = None,
    columns: Annotated[list[str] | None, "The columns to keep; default: all."] = None,
    delimiter: Delimiter = None,
    encoding: Annotated[
        str | None,
        "The text encoding, such as `windows-1252`; default: UTF-8, or UTF-16 with a byte order mark.",
        Checked(_check_encoding),
    ] = None,
    types: Annotated[dict[str, ColumnType] | None, "The types of CSV columns, by name."] = None,
) -> RowTable:
    """Read a file of rows. A CSV column becomes numbers or booleans only if that loses nothing: `007` stays text.

    So do `1E5`, integers of more than 18 digits, and decimal numbers with more digits than a float keeps; `1.50` is a
    number if the whole column has two decimals. `types` overrides this. An empty cell is null, `""` an empty string.

    Example:
        - id: sales
          tool: data
          action: read
          parameters:
            path: sales.csv
    """
    from orchestrator.tools.tables.files import RowsLayout, require_columns

    rows = load_rows(path, context, format, RowsLayout(encoding, delimiter, types))
    if columns is not None:
        require_columns(rows, columns)
        rows = [{name: row.get(name) for name in columns} for row in rows]
    return _table(rows)


@tool(name="write", primary="path", requires=_EXTRA, refusal=checks_paths(rows="read", path="write"), reads=("rows",))
def write_rows(
    rows: Rows,
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    format: Format = None,
    mode: Mode = None,
    delimiter: Annotated[str | None, "The CSV delimiter; default: a comma.", Checked(_check_delimiter)] = None,
) -> WrittenTable:
    """Write rows to a file, replacing it atomically.

    Example:
        - id: save
          tool: data
          action: write
          parameters:
            rows: "{{ totals }}"
            path: output/totals.csv
    """
    from orchestrator.tools.tables.files import dump_rows

    table = load_rows(rows, context)
    data = dump_rows(table, rows_format(path, format), delimiter)
    place = permitted_location(context, path, "write")
    with file_errors("write", path):
        write_bytes(place, data, mode=file_mode(mode))
    context.wrote(place.path)
    return {"path": path, "count": len(table), "size": len(data)}


@tool(name="convert", primary="text", requires=_EXTRA)
def convert_rows(
    data: Annotated[list[Row] | str, "The rows: a list of objects, or a text in one of the formats."],
    to: Annotated[Literal["csv", "tsv", "json", "jsonl"], "The new format."] = "json",
    format: Annotated[
        Literal["csv", "tsv", "json", "jsonl"] | None, "The format of the text; default: by its first character."
    ] = None,
    delimiter: Delimiter = None,
    types: Annotated[dict[str, ColumnType] | None, "The types of CSV columns, by name."] = None,
) -> ConvertedTable:
    """Convert rows, or a text of rows, to a text in another format. Columns of CSV are read as by `data.read`.

    To convert a file, write its rows to a file with another suffix: `data.write`.

    Example:
        - id: listed
          tool: data
          action: convert
          parameters:
            data: "{{ page }}"
            format: csv
            to: json
    """
    from orchestrator.tools.tables.files import RowsLayout, dump_rows, parse_rows

    if isinstance(data, str):
        start = data.lstrip("\ufeff \t\r\n")[:1]
        found = format or {"[": "json", "{": "jsonl"}.get(start, "csv")
        rows, _ = parse_rows(data.encode(), found, "data", RowsLayout(None, delimiter, types))
    else:
        rows = data
    return {"text": dump_rows(rows, to).decode(), **_table(rows)}


@tool(name="filter", primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
async def filter_rows(
    rows: Rows,
    where: Annotated[str, "An SQL condition, such as `amount > 100 AND region = 'west'`."],
    context: ToolContext,
    inputs: SqlInputs = None,
) -> RowTable:
    """Keep the rows that match a condition, unchanged and in order.

    Example:
        - id: large
          tool: data
          action: filter
          parameters:
            rows: "{{ sales }}"
            where: amount > 100 AND region = :region
            inputs: {region: "{{ region }}"}
    """
    from orchestrator.tools.tables.sql_driver import ROW_INDEX
    from orchestrator.tools.tables.transformations import Transformation, transform_tables

    table = await run_in_thread(lambda: load_rows(rows, context))
    filtering = Transformation("filter", {"where": where}, inputs=inputs or {})
    kept, _ = await transform_tables(filtering, {"rows": table}, context)
    return _table([table[row[ROW_INDEX]] for row in kept])


@tool(name="select", primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
async def select_columns(
    rows: Rows,
    columns: Annotated[list[str] | dict[str, str], "Columns to keep, or new column names with an SQL expression each."],
    context: ToolContext,
    inputs: SqlInputs = None,
) -> RowTable:
    """Select columns, or compute new ones.

    Example:
        - id: net
          tool: data
          action: select
          parameters:
            rows: "{{ sales }}"
            columns: {region: region, net: amount * 0.9}
    """
    from orchestrator.tools.tables.files import require_columns
    from orchestrator.tools.tables.transformations import Transformation, transform_tables

    table = await run_in_thread(lambda: load_rows(rows, context))
    if isinstance(columns, list):
        require_columns(table, columns)
        return _table([{name: row.get(name) for name in columns} for row in table], columns)
    expressions = {f"columns.{name}": text for name, text in columns.items()}
    found, _ = await transform_tables(
        Transformation("select", expressions, inputs=inputs or {}), {"rows": table}, context
    )
    return _table(found, list(columns))


@tool(primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
def sort(
    rows: Rows,
    by: Names,
    context: ToolContext,
    descending: Annotated[
        bool | list[bool], "Sort in descending order; one value for all columns, or one for each."
    ] = False,
) -> RowTable:
    """Sort rows by one or more columns; nulls come last, and equal rows keep their order.

    Example:
        - id: top
          tool: data
          action: sort
          parameters:
            rows: "{{ totals }}"
            by: amount
            descending: true
    """
    import polars as pl

    from orchestrator.tools.tables.files import bad_data, polars_errors, to_frame

    table, names = load_rows(rows, context), _listed(by)
    if isinstance(descending, list) and len(descending) != len(names):
        raise bad_data(f"`descending` has {len(descending)} values for {len(names)} columns")
    if table:
        with polars_errors("sort"):
            order = pl.arg_sort_by(names, descending=descending, nulls_last=True, maintain_order=True)
            table = [table[index] for index in to_frame(table).select(order).to_series()]
    return _table(table)


@tool(primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
async def aggregate(
    rows: Rows,
    values: Annotated[dict[str, str], "New columns with an SQL aggregate each, such as `SUM(amount)` or `COUNT(*)`."],
    context: ToolContext,
    by: Annotated[str | list[str] | None, "The columns to group by; default: all rows are one group."] = None,
    inputs: SqlInputs = None,
) -> RowTable:
    """Compute sums, counts, means and other aggregates for each group, in order of first appearance.

    Example:
        - id: totals
          tool: data
          action: aggregate
          parameters:
            rows: "{{ sales }}"
            by: region
            values: {total: SUM(amount), orders: COUNT(*)}
    """
    from orchestrator.tools.tables.transformations import Transformation, transform_tables

    table, names = await run_in_thread(lambda: load_rows(rows, context)), _listed(by or [])
    expressions = {f"values.{name}": text for name, text in values.items()}
    if not table and names:
        return _table([], [*names, *values])
    grouping = Transformation("aggregate", expressions, tuple(names), inputs or {})
    found, known = await transform_tables(grouping, {"rows": table}, context)
    return _table(found, known)


@tool(primary="rows", requires=_EXTRA, refusal=checks_paths(left="read", right="read"), reads=("left", "right"))
def join(
    left: Rows,
    right: Rows,
    context: ToolContext,
    on: Annotated[str | list[str] | None, "The columns that must be equal (none for `how: cross`)."] = None,
    how: Annotated[Literal["inner", "left", "full", "semi", "anti", "cross"], "The kind of join."] = "inner",
    suffix: Annotated[str, "Suffix for columns of the right table that the left one has too."] = "_right",
) -> RowTable:
    """Join two tables on columns of the same name.

    Example:
        - id: named
          tool: data
          action: join
          parameters:
            left: "{{ orders }}"
            right: customers.csv
            on: customer_id
            how: left
    """
    from orchestrator.tools.tables.files import (
        bad_data,
        check_size,
        join_with_nothing,
        joined_size,
        polars_errors,
        to_frame,
        to_rows,
    )

    first, second = load_rows(left, context), load_rows(right, context)
    if (on is None) != (how == "cross"):
        raise bad_data("`on` is required, except with `how: cross`", "set `on`, or `how: cross` without it")
    if not first or not second:
        table = join_with_nothing(first, second, how)
        return _table(table)
    with polars_errors("join"):
        frame, other = to_frame(first, "left"), to_frame(second, "right")
        pairs = 0 if how in ("semi", "anti") else joined_size(frame, other, _listed(on) if on is not None else None)
        check_size(pairs, frame.width + other.width, "join on more columns, or filter the tables first")
        result = frame.join(
            other,
            on=_listed(on) if on is not None else None,
            how=how,
            suffix=suffix,
            coalesce=None if how in ("cross", "semi", "anti") else True,
            maintain_order=None if how == "cross" else "left_right" if how == "full" else "left",
        )
        return _table(to_rows(result), result.columns)


@tool(primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
def pivot(
    rows: Rows,
    index: Annotated[str | list[str], "The columns that identify the new rows."],
    columns: Annotated[str, "The column whose values become columns."],
    values: Annotated[str, "The column with the values of the new columns."],
    context: ToolContext,
    aggregate: Annotated[
        Literal["first", "last", "sum", "min", "max", "mean", "median", "len"], "How several values are combined."
    ] = "sum",
) -> RowTable:
    """Turn the values of one column into columns.

    Example:
        - id: by_month
          tool: data
          action: pivot
          parameters:
            rows: "{{ sales }}"
            index: region
            columns: month
            values: amount
    """
    from orchestrator.tools.tables.files import check_size, polars_errors, to_frame, to_rows
    from orchestrator.tools.tables.sql_driver import computed

    table = load_rows(rows, context)
    if not table:
        return _table([], _listed(index))
    with polars_errors("pivot"):
        frame = to_frame(table)
        groups = frame.select(_listed(index)).n_unique()
        check_size(groups, frame.select(columns).n_unique(), "use columns with fewer values, or filter the rows first")
        result = computed(
            lambda frame: frame.pivot(columns, index=_listed(index), values=values, aggregate_function=aggregate), frame
        )
        return _table(to_rows(result), result.columns)


@tool(primary="rows", requires=_EXTRA, refusal=checks_paths(rows="read"), reads=("rows",))
def deduplicate(
    rows: Rows,
    context: ToolContext,
    by: Annotated[str | list[str] | None, "The columns to compare; default: all."] = None,
    keep: Annotated[Literal["first", "last"], "Which of the duplicates is kept."] = "first",
) -> RowTable:
    """Remove duplicate rows; the others stay unchanged and in order.

    Example:
        - id: unique
          tool: data
          action: deduplicate
          parameters:
            rows: "{{ contacts }}"
            by: email
    """
    from orchestrator.tools.tables.files import require_columns

    table = load_rows(rows, context)
    names = _listed(by) if by is not None else None
    require_columns(table, names or [])
    kept: dict[str, int] = {}
    for index, row in enumerate(table):
        chosen = row if names is None else {name: row.get(name) for name in names}
        key = json.dumps(chosen, sort_keys=True)
        if keep == "last" or key not in kept:
            kept[key] = index
    return _table([table[index] for index in sorted(kept.values())])


@tool(primary="rows", requires=_EXTRA, refusal=_tables_refusal, reads=("tables",))
async def sql(
    query: Annotated[str, "A SELECT statement."],
    tables: Annotated[dict[str, Any], "The tables by name: lists of objects, or paths of files."],
    context: ToolContext,
    inputs: SqlInputs = None,
) -> RowTable:
    """Query tables with SQL. The query reads the given tables, and cannot read files.

    Pass values through `inputs`, and read them as `:name`: they are never interpreted as SQL.

    The query runs in a separate process, limited to 4 GB of memory (at most half of the machine's) and 10 minutes; it
    has at most 1,000 operators.

    Example:
        - id: best
          tool: data
          action: sql
          parameters:
            tables: {orders: "{{ orders }}", customers: customers.csv}
            inputs: {country: "{{ country }}"}
            query: |
              SELECT name, SUM(amount) AS total
              FROM orders JOIN customers USING (customer_id)
              WHERE country = :country
              GROUP BY name ORDER BY total DESC
    """
    from orchestrator.tools.tables.files import bad_data
    from orchestrator.tools.tables.transformations import Transformation, transform_tables

    loaded: dict[str, list[Row]] = {}
    for name, source in tables.items():
        if not isinstance(source, str) and not _are_rows(source):
            raise bad_data(f"the table `{name}` is neither a list of objects nor a path")
        loaded[name] = await run_in_thread(partial(load_rows, source, context))
    return _table(
        *await transform_tables(Transformation("sql", {"query": query}, inputs=inputs or {}), loaded, context)
    )


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _table(rows: list[Row], columns: list[str] | None = None) -> RowTable:
    names = columns if columns is not None else list({name: None for row in rows for name in row})
    return {"rows": rows, "columns": names, "count": len(rows)}


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names

"""Filter, select, sort, aggregate and deduplicate rows, and query them with SQL."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from orchestrator.tools.builtin.data.parameters import EXTRA, Names, SqlInputs, listed, table_of
from orchestrator.tools.builtin.rows import Rows, load_rows
from orchestrator.tools.builtin.stored import check_source, checks_sources
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.tables.results import Row, RowTable


def _tables_refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    tables = known.get("tables")
    for source in tables.values() if isinstance(tables, dict) else ():
        refusal = check_source(permissions, source, "read", "tables") if isinstance(source, str) else None
        if refusal is not None:
            return refusal
    return None


@tool(name="filter", primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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
    return table_of([table[row[ROW_INDEX]] for row in kept])


@tool(name="select", primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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
        return table_of([{name: row.get(name) for name in columns} for row in table], columns)
    expressions = {f"columns.{name}": text for name, text in columns.items()}
    found, _ = await transform_tables(
        Transformation("select", expressions, inputs=inputs or {}), {"rows": table}, context
    )
    return table_of(found, list(columns))


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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

    from orchestrator.tools.tables.files import polars_errors, to_frame
    from orchestrator.tools.tables.invalid_data import bad_data

    table, names = load_rows(rows, context), listed(by)
    if isinstance(descending, list) and len(descending) != len(names):
        raise bad_data(f"`descending` has {len(descending)} values for {len(names)} columns")
    if table:
        with polars_errors("sort"):
            order = pl.arg_sort_by(names, descending=descending, nulls_last=True, maintain_order=True)
            table = [table[index] for index in to_frame(table).select(order).to_series()]
    return table_of(table)


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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

    table, names = await run_in_thread(lambda: load_rows(rows, context)), listed(by or [])
    expressions = {f"values.{name}": text for name, text in values.items()}
    if not table and names:
        return table_of([], [*names, *values])
    grouping = Transformation("aggregate", expressions, tuple(names), inputs or {})
    found, known = await transform_tables(grouping, {"rows": table}, context)
    return table_of(found, known)


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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
    names = listed(by) if by is not None else None
    require_columns(table, names or [])
    kept: dict[str, int] = {}
    for index, row in enumerate(table):
        chosen = row if names is None else {name: row.get(name) for name in names}
        key = json.dumps(chosen, sort_keys=True)
        if keep == "last" or key not in kept:
            kept[key] = index
    return table_of([table[index] for index in sorted(kept.values())])


@tool(primary="rows", requires=EXTRA, refusal=_tables_refusal, reads=("tables",))
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
    from orchestrator.tools.tables.invalid_data import bad_data
    from orchestrator.tools.tables.transformations import Transformation, transform_tables

    loaded: dict[str, list[Row]] = {}
    for name, source in tables.items():
        if not isinstance(source, str) and not _are_rows(source):
            raise bad_data(f"the table `{name}` is neither a list of objects nor a path")
        loaded[name] = await run_in_thread(partial(load_rows, source, context))
    return table_of(
        *await transform_tables(Transformation("sql", {"query": query}, inputs=inputs or {}), loaded, context)
    )


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)

"""Join tables, and turn values into columns or columns into rows."""

from typing import Annotated, Literal

from orchestrator.text.words import quoted_list
from orchestrator.tools.builtin.data.parameters import EXTRA, listed, table_of
from orchestrator.tools.builtin.rows import Rows, load_rows
from orchestrator.tools.builtin.stored import checks_sources
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.tables.results import RowTable


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(left="read", right="read"), reads=("left", "right"))
def join(
    left: Rows,
    right: Rows,
    context: ToolContext,
    on: Annotated[
        str | list[str] | dict[str, str] | None,
        "The columns that must be equal; columns of the left table with those of the right one, where their names "
        "differ; none for `how: cross`.",
    ] = None,
    how: Annotated[
        Literal["inner", "left", "right", "full", "semi", "anti", "cross"],
        "The kind of join. `semi` keeps the rows of the left table with a match, `anti` those without.",
    ] = "inner",
    suffix: Annotated[str, "Suffix for columns of the right table that the left one has too."] = "_right",
    relation: Annotated[
        Literal["one_to_one", "one_to_many", "many_to_one"] | None,
        "Fail if a key has several rows in the left (`one_to_…`) or the right (`…_to_one`) table; default: allowed.",
    ] = None,
) -> RowTable:
    """Join two tables on columns that are equal. A null is equal to nothing.

    A result of more than 20 million cells is an error, which is found out before the join.

    Example:
        - id: named
          tool: data
          action: join
          parameters:
            left: "{{ orders }}"
            right: customers.csv
            on: {customer: id}
            how: left
            relation: many_to_one
    """
    from orchestrator.tools.tables.invalid_data import bad_data
    from orchestrator.tools.tables.join import join_tables

    if (not on) != (how == "cross"):
        raise bad_data("`on` is required, except with `how: cross`", "set `on`, or `how: cross` without it")
    if relation is not None and how == "cross":
        raise bad_data("`relation` has no meaning for `how: cross`", "remove `relation`")
    keys = on if isinstance(on, dict) else {name: name for name in listed(on)}
    first, second = load_rows(left, context), load_rows(right, context)
    return table_of(*join_tables(first, second, keys, how, suffix=suffix, relation=relation))


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
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
        return table_of([], listed(index))
    with polars_errors("pivot"):
        frame = to_frame(table)
        groups = frame.select(listed(index)).n_unique()
        check_size(groups, frame.select(columns).n_unique(), "use columns with fewer values, or filter the rows first")
        result = computed(
            lambda frame: frame.pivot(columns, index=listed(index), values=values, aggregate_function=aggregate), frame
        )
        return table_of(to_rows(result), result.columns)


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
def unpivot(
    rows: Rows,
    context: ToolContext,
    columns: Annotated[list[str] | None, "The columns that become rows; default: all others than `index`."] = None,
    index: Annotated[
        str | list[str] | None, "The columns that each new row has too; default: all others than `columns`."
    ] = None,
    name: Annotated[str, "The new column with the names of the columns."] = "name",
    value: Annotated[str, "The new column with their values."] = "value",
    drop_nulls: Annotated[bool, "Leave out the rows without a value."] = False,
) -> RowTable:
    """Turn columns into rows, one for each of their values: the reverse of `pivot`, also known as melt.

    Example:
        - id: long
          tool: data
          action: unpivot
          parameters:
            rows: "{{ by_month }}"
            index: region
            name: month
            value: amount
            drop_nulls: true
    """
    from orchestrator.tools.tables.files import check_size, require_columns
    from orchestrator.tools.tables.invalid_data import bad_data

    if columns is None and index is None:
        raise bad_data("either `columns` or `index` is required", "set `index` to the columns that stay")
    table = load_rows(rows, context)
    known = list({each: None for row in table for each in row})
    melted = columns if columns is not None else [each for each in known if each not in listed(index)]
    kept = listed(index) if index is not None else [each for each in known if each not in melted]
    require_columns(table, [*melted, *kept])
    new = [*kept, name, value]
    if len(set(new)) < len(new):
        raise bad_data(
            f"the result would have several columns {quoted_list(new)} of one name", "set `name` and `value`"
        )
    check_size(len(table) * len(melted), len(new), "unpivot fewer columns, or filter the rows first")
    found = [
        {**{each: row.get(each) for each in kept}, name: column, value: row.get(column)}
        for row in table
        for column in melted
        if not drop_nulls or row.get(column) is not None
    ]
    return table_of(found, new)

"""Compute columns from other rows, and draw samples of rows."""

from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from orchestrator.tools.builtin.data.parameters import EXTRA, Names, check_described, listed, table_of
from orchestrator.tools.builtin.rows import Rows, load_rows
from orchestrator.tools.builtin.stored import checks_sources
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.tables.results import RowTable

Ranking: TypeAlias = Literal["row_number", "rank", "dense_rank", "percent_rank", "ntile"]
OtherRow: TypeAlias = Literal["lag", "lead", "difference", "change", "first", "last"]
FrameAggregate: TypeAlias = Literal["sum", "mean", "min", "max", "count", "std", "median"]
WindowFunction: TypeAlias = Literal[Ranking, OtherRow, FrameAggregate]


class _Function(TypedDict):
    function: Annotated[
        WindowFunction,
        "What is computed.",
    ]


class WindowedColumn(_Function, total=False):
    """One new column of `data.window`."""

    column: Annotated[str, "The column that it is computed from; ranks and `count` need none."]
    frame: Annotated[
        int | Literal["partition", "running"],
        "The rows of an aggregate: all of the `partition`, those up to this one (`running`), or the last N with it.",
    ]
    min_rows: Annotated[int, "How many values a frame of N rows needs, else the result is null."]
    offset: Annotated[int, "How many rows before or after, for `lag`, `lead`, `difference` and `change`."]
    default: Annotated[Any, "The value of `lag` and `lead` where there is no such row."]
    buckets: Annotated[int, "The number of buckets of `ntile`."]


def _check_columns(columns: dict[str, WindowedColumn]) -> None:
    check_described(columns, WindowedColumn)


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
def window(
    rows: Rows,
    columns: Annotated[
        dict[str, WindowedColumn],
        "The new columns: for each a `function`, mostly of a `column`. Ranks: `row_number`, `rank`, `dense_rank`, "
        "`percent_rank`, `ntile` (`buckets`). Other rows: `lag`, `lead` (`offset`, `default`), `difference`, `change` "
        "(a fraction of the earlier value), `first`, `last`. Aggregates: `sum`, `mean`, `min`, `max`, `count`, `std`, "
        "`median`, of a `frame`: `partition`, `running`, or a number of rows (`min_rows`).",
        Checked(_check_columns),
    ],
    context: ToolContext,
    by: Annotated[str | list[str] | None, "The columns that divide the rows into partitions; default: none."] = None,
    order_by: Annotated[str | list[str] | None, "The columns that order the rows of a partition; nulls last."] = None,
    descending: Annotated[bool | list[bool], "Order descending; one value for all columns, or one for each."] = False,
) -> RowTable:
    """Add columns that are computed from other rows: running totals, moving means, ranks, values of earlier rows.

    The rows stay as they are and in their order. The `frame` of an aggregate is `running` with `order_by`, and
    `partition` without, as in SQL. Nulls are left out of aggregates.

    Example:
        - id: trend
          tool: data
          action: window
          parameters:
            rows: "{{ sales }}"
            by: region
            order_by: month
            columns:
              total_so_far: {function: sum, column: amount}
              mean_of_three: {function: mean, column: amount, frame: 3}
              change: {function: change, column: amount}
              place: {function: rank}
    """
    from orchestrator.tools.tables.invalid_data import bad_data
    from orchestrator.tools.tables.window import Partitions, window_column, windowed

    _check_columns(columns)
    names = listed(order_by)
    if isinstance(descending, list) and len(descending) != len(names):
        raise bad_data(f"`descending` has {len(descending)} values for {len(names)} columns")
    orders = descending if isinstance(descending, list) else [descending] * len(names)
    over = Partitions(tuple(listed(by)), tuple(names), tuple(orders))
    new = {name: window_column(name, given, over) for name, given in columns.items()}
    table = load_rows(rows, context)
    return table_of(windowed(table, new, over)) if table else table_of([])


@tool(primary="rows", requires=EXTRA, refusal=checks_sources(rows="read"), reads=("rows",))
def sample(
    rows: Rows,
    context: ToolContext,
    n: Annotated[int | None, "The number of rows; all rows if there are fewer."] = None,
    fraction: Annotated[float | None, "The fraction of the rows, from 0 to 1, instead of `n`."] = None,
    by: Annotated[Names | None, "Columns: draw from the rows of each of their values, in proportion."] = None,
    replace: Annotated[bool, "Draw with replacement: a row can be drawn several times."] = False,
    seed: Annotated[int, "Another seed draws other rows; the same seed draws the same rows."] = 0,
) -> RowTable:
    """Draw a random sample of rows; they stay unchanged and in order.

    With `by`, each stratum has rows in proportion to its size: `n` rows in all, or the `fraction` of each.

    Example:
        - id: reviewed
          tool: data
          action: sample
          parameters:
            rows: "{{ answers }}"
            n: 100
            by: language
            seed: 7
    """
    from orchestrator.tools.tables.files import check_size, require_columns
    from orchestrator.tools.tables.invalid_data import bad_data
    from orchestrator.tools.tables.sample import sample_indexes

    if (n is None) == (fraction is None):
        raise bad_data("either `n` or `fraction` is required", "for example `n: 100`, or `fraction: 0.1`")
    if n is not None and n < 0:
        raise bad_data(f"`n` is {n}, and must be at least 0")
    if fraction is not None and not 0 <= fraction <= 1:
        raise bad_data(f"`fraction` is {fraction:g}, and must be from 0 to 1")
    table, names = load_rows(rows, context), listed(by)
    require_columns(table, names)
    columns = list({name: None for row in table for name in row})
    if replace and n is not None:
        check_size(n, len(columns), "set a smaller `n`")
    chosen = sample_indexes(table, names, n=n, fraction=fraction, replace=replace, seed=seed)
    return table_of([table[index] for index in chosen], columns)

"""Window functions: a value for each row from the other rows of its partition, in an order.

Importing this module loads Polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl
from msgspec import Struct

from orchestrator.tools.tables.files import polars_errors, require_columns, to_frame, to_rows
from orchestrator.tools.tables.invalid_data import bad_data
from orchestrator.tools.tables.sql_driver import ROW_INDEX, computed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.tools.tables.results import Row

_RANKINGS: Final = ("row_number", "rank", "dense_rank", "percent_rank", "ntile")
_ENDINGS: Final = ("first", "last")
_NUMBERS_ONLY: Final = ("sum", "mean", "std", "median", "difference", "change")
_NEW: Final = "\0new"
_NUMBER: Final = "\0number"


class WindowColumn(Struct, frozen=True):
    """One new column. `frame` is a number of rows, `running` or `partition`."""

    function: str
    column: str | None = None
    frame: int | Literal["partition", "running"] = "partition"
    min_rows: int = 1
    offset: int = 1
    default: Any = None
    buckets: int = 4


class Partitions(Struct, frozen=True):
    """The partitions of a table, and the order of the rows in them."""

    by: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    descending: tuple[bool, ...] = ()


def window_column(name: str, given: Mapping[str, Any], window: Partitions) -> WindowColumn:
    """Read the description of a new column.

    Raises:
        StepError: ORC710, it has no meaning.
    """
    function = given["function"]
    ordered = bool(window.order_by)
    column = WindowColumn(**{"frame": "running" if ordered else "partition", **given})
    needs_column = function not in (*_RANKINGS, "count")
    if needs_column and column.column is None:
        raise bad_data(
            f"`{function}` of `{name}` needs a `column`", f"columns: {{{name}: {{function: {function}, column: NAME}}}}"
        )
    if function in _RANKINGS and not ordered:
        raise bad_data(f"`{function}` of `{name}` needs `order_by`", "set the columns that the rows are ranked by")
    _refuse_unused(name, given, column)
    if isinstance(column.frame, int) and column.frame < 1:
        raise bad_data(f"`frame` of `{name}` is {column.frame}, and must be at least 1", None)
    for key in ("min_rows", "offset", "buckets"):
        if getattr(column, key) < 1:
            raise bad_data(f"`{key}` of `{name}` is {getattr(column, key)}, and must be at least 1", None)
    return column


_USED: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_RANKINGS, ()),
    "ntile": ("buckets",),
    **dict.fromkeys(("lag", "lead"), ("column", "offset", "default")),
    **dict.fromkeys(("difference", "change"), ("column", "offset")),
    **dict.fromkeys(_ENDINGS, ("column",)),
}
"""The further keys that a function reads; an aggregate reads `column`, `frame` and `min_rows`."""


def _refuse_unused(name: str, given: Mapping[str, Any], column: WindowColumn) -> None:
    used = _USED.get(column.function, ("column", "frame", "min_rows"))
    unused = next((key for key in given if key not in ("function", *used)), None)
    if unused is not None:
        raise bad_data(f"`{unused}` of `{name}` has no meaning for `{column.function}`", f"remove `{unused}`")
    if "min_rows" in given and not isinstance(column.frame, int):
        raise bad_data(
            f"`min_rows` of `{name}` needs a `frame` of some rows", "remove `min_rows`, or set `frame` to a number"
        )


def windowed(rows: list[Row], columns: Mapping[str, WindowColumn], window: Partitions) -> list[Row]:
    """Return the rows, unchanged and in order, with a new column for each of `columns`.

    The time is that of sorting the rows.
    """
    read = dict.fromkeys((*window.by, *window.order_by, *(each.column for each in columns.values() if each.column)))
    require_columns(rows, list(read))
    twice = next((name for row in rows for name in columns if name in row), None)
    if twice is not None:
        raise bad_data(f"the rows already have a column `{twice}`", "give the new column another name")
    needed = [{name: row.get(name) for name in read} for row in rows]
    with polars_errors("compute the window"):
        frame = to_frame(needed).with_row_index(ROW_INDEX) if read else pl.DataFrame({ROW_INDEX: range(len(rows))})
        frame = frame.cast({name: pl.Int64 for name, kind in frame.schema.items() if kind == pl.Null})
        _check_kinds(frame, columns)
        in_order = _sorted(frame, window)
        result = computed(lambda given: _with_columns(given, columns, window), in_order).sort(ROW_INDEX)
        added = to_rows(result.select(list(columns)))
    return [{**row, **new} for row, new in zip(rows, added, strict=True)]


def _check_kinds(frame: pl.DataFrame, columns: Mapping[str, WindowColumn]) -> None:
    for name, column in columns.items():
        kind = frame.schema[column.column] if column.column is not None else pl.Null()
        if column.default is not None and not _is_like(column.default, kind):
            raise bad_data(f"the `default` of `{name}` is not like the values of `{column.column}`")
        if column.function in _NUMBERS_ONLY and not (kind.is_numeric() or kind == pl.Boolean):
            raise bad_data(
                f"`{column.function}` of `{name}` needs numbers, which `{column.column}` does not have", None
            )


def _is_like(value: Any, kind: pl.DataType) -> bool:
    match value:
        case bool():
            return kind == pl.Boolean
        case int():
            return kind.is_numeric()
        case float():
            return kind.is_float()
        case str():
            return kind == pl.String
        case _:
            return False


def _sorted(frame: pl.DataFrame, window: Partitions) -> pl.DataFrame:
    if not window.order_by:
        return frame
    return frame.sort(list(window.order_by), descending=list(window.descending), nulls_last=True, maintain_order=True)


def _with_columns(frame: pl.DataFrame, columns: Mapping[str, WindowColumn], window: Partitions) -> pl.DataFrame:
    by = list(window.by)

    def over(value: pl.Expr) -> pl.Expr:
        return value.over(by) if by else value

    if any(column.function in _RANKINGS for column in columns.values()):
        number = over(pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        differs = [pl.col(name).ne_missing(over(pl.col(name).shift(1))) for name in window.order_by]
        frame = frame.with_columns(number.alias(_NUMBER))
        frame = frame.with_columns(pl.any_horizontal(pl.col(_NUMBER) == 1, *differs).alias(_NEW))
    return frame.with_columns(_value(column, over, frame.height).alias(name) for name, column in columns.items())


def _value(column: WindowColumn, over: Callable[[pl.Expr], pl.Expr], height: int) -> pl.Expr:
    if column.function in _RANKINGS:
        return _ranking(column, over)
    value = pl.col(column.column) if column.column is not None else pl.col(ROW_INDEX)
    match column.function:
        case "lag" | "lead":
            places = column.offset if column.function == "lag" else -column.offset
            filled = {} if column.default is None else {"fill_value": column.default}
            return over(value.shift(places, **filled))
        case "difference":
            return value - over(value.shift(column.offset))
        case "change":
            before = over(value.shift(column.offset)).cast(pl.Float64)
            return pl.when(before != 0).then((value.cast(pl.Float64) - before) / before)
        case "first":
            return over(value.first())
        case "last":
            return over(value.last())
    if column.frame == "partition":
        return over(_of_all(column.function, value))
    return over(_rolling(column, value, height))


def _ranking(column: WindowColumn, over: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    number, new = pl.col(_NUMBER), pl.col(_NEW)
    rank = over(pl.when(new).then(number).forward_fill())
    match column.function:
        case "row_number":
            return number
        case "rank":
            return rank
        case "dense_rank":
            return over(new.cast(pl.Int64).cum_sum())
        case "percent_rank":
            others = over(pl.len()).cast(pl.Float64) - 1
            return pl.when(others > 0).then((rank - 1) / others).otherwise(0.0)
        case _:
            size, rest = over(pl.len()).cast(pl.Int64) // column.buckets, over(pl.len()).cast(pl.Int64) % column.buckets
            larger = rest * (size + 1)  # rows in the buckets that have one more
            place = number - 1
            small = rest + (place - larger) // pl.max_horizontal(size, pl.lit(1))
            return pl.when(place < larger).then(place // (size + 1)).otherwise(small) + 1


def _of_all(function: str, value: pl.Expr) -> pl.Expr:
    match function:
        case "sum":
            return pl.when(value.count() > 0).then(value.sum())
        case "std":
            return value.std()
        case _:
            found: pl.Expr = getattr(value, function)()
            return found


def _rolling(column: WindowColumn, value: pl.Expr, height: int) -> pl.Expr:
    """Return the aggregate of the rows up to each; nulls in between are left out, as in SQL."""
    size = max(height, 1) if isinstance(column.frame, str) else column.frame
    least = min(column.min_rows, size)
    if column.function == "count":
        return value.is_not_null().cast(pl.Int64).rolling_sum(size, min_samples=1)
    rolling: dict[str, Callable[..., pl.Expr]] = {
        "sum": value.rolling_sum,
        "mean": value.rolling_mean,
        "min": value.rolling_min,
        "max": value.rolling_max,
        "std": value.rolling_std,
        "median": value.rolling_median,
    }
    return rolling[column.function](size, min_samples=least)

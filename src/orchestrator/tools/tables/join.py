"""Joins of two tables. Importing this module loads Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from orchestrator.text.words import quoted_list
from orchestrator.tools.tables.files import check_size, polars_errors, require_columns, to_frame, to_rows
from orchestrator.tools.tables.invalid_data import bad_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.tools.tables.results import Row

JoinKind: TypeAlias = Literal["inner", "left", "right", "full", "semi", "anti", "cross"]
Relation: TypeAlias = Literal["one_to_one", "one_to_many", "many_to_one"]


def join_tables(
    left: list[Row], right: list[Row], on: Mapping[str, str], how: JoinKind, *, suffix: str, relation: Relation | None
) -> tuple[list[Row], list[str]]:
    """Return the rows and columns of a join.

    `on` are the key columns of the left table with those of the right one; keys have the names of the left table in the
    result. Nulls are equal to nothing. `relation` says of which table a key may have only one row.

    Raises:
        StepError: ORC710, a column is unknown, the relation does not hold, or the result would be too large.
    """
    require_columns(left, list(on))
    require_columns(right, list(on.values()))
    if not left or not right:
        rows = _with_nothing(left, _renamed(right, on, suffix), how)
        return rows, list({name: None for row in rows for name in row})
    names = list(on)
    with polars_errors("join"):
        frame, other = to_frame(left, "left"), to_frame(right, "right")
        other = other.rename(_new_names(other.columns, on, suffix))
        frame, other = _with_kinds_of(frame, other, names), _with_kinds_of(other, frame, names)
        for table, what in ((frame, "left"), (other, "right")):
            _check_relation(table, names, what, relation)
        pairs = 0 if how in ("semi", "anti") else _joined_size(frame, other, names, how)
        check_size(pairs, frame.width + other.width, "join on more columns, or filter the tables first")
        result = frame.join(
            other,
            on=names or None,
            how=how,
            suffix=suffix,
            coalesce=None if how in ("cross", "semi", "anti") else True,
            maintain_order={"cross": None, "full": "left_right", "right": "right"}.get(how, "left"),
        )
        if how == "right":  # Polars puts the key first among the columns of the right table
            result = result.select(*names, pl.exclude(names))
        return to_rows(result), result.columns


def _new_names(columns: Sequence[str], on: Mapping[str, str], suffix: str) -> dict[str, str]:
    """Return new names of columns of the right table: its keys have those of the left one."""
    keys = {new: old for old, new in on.items()}
    taken = set(on) - set(keys)
    return {
        name: keys.get(name, f"{name}{suffix}" if name in taken else name)
        for name in columns
        if name in keys or name in taken
    }


def _with_kinds_of(frame: pl.DataFrame, other: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return a table whose keys without any value have the type of those of the other table."""
    return frame.cast({name: other.schema[name] for name in names if frame.schema[name] == pl.Null})


def _renamed(rows: list[Row], on: Mapping[str, str], suffix: str) -> list[Row]:
    columns = list({name: None for row in rows for name in row})
    new = _new_names(columns, on, suffix)
    return [{new.get(name, name): value for name, value in row.items()} for row in rows]


def _with_nothing(left: list[Row], right: list[Row], how: JoinKind) -> list[Row]:
    """Join tables of which one has no rows, and so no columns."""
    match how:
        case "left" | "anti":
            return left
        case "right":
            return right
        case "full":
            return left or right
        case _:
            return []


def _check_relation(table: pl.DataFrame, names: Sequence[str], what: str, relation: Relation | None) -> None:
    side = 0 if what == "left" else 2
    if relation is None or relation.split("_")[side] == "many":
        return
    twice = table.drop_nulls(names).group_by(names, maintain_order=True).len("\0n").filter(pl.col("\0n") > 1).head(1)
    if twice.height:
        *values, count = twice.row(0)
        key = quoted_list(f"{name}: {_short(value)}" for name, value in zip(names, values, strict=True))
        raise bad_data(
            f"the `relation` is {relation}, and the {what} table has {count:,} rows with {key}",
            f"deduplicate or aggregate the {what} table, or leave out `relation`",
        )


def _short(value: Any) -> str:
    return str(value)[:60]


def _joined_size(left: pl.DataFrame, right: pl.DataFrame, names: Sequence[str], how: JoinKind) -> int:
    """Return the number of rows of a join, or a few more."""
    if how == "cross":
        return left.height * right.height
    counts = left.group_by(names).len("\0n").join(right.group_by(names).len("\0m"), on=names)
    pairs = int(counts.select((pl.col("\0n").cast(pl.Float64) * pl.col("\0m")).sum()).item() or 0)
    rest = {"left": left.height, "right": right.height, "full": left.height + right.height}
    return pairs + rest.get(how, 0)

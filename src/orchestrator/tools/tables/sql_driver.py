"""Transforms tables with SQL. It does not import Orchestrator, so it can also run in a separate, limited process.

Standard input is then a JSON object with the task; the tables and the result are Arrow files, and a report is written
as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

ROW_INDEX = "\0row"
"""The name of the column of row numbers, which no file has."""

OUT_OF_MEMORY = 77
"""The exit status of a process that exceeded its memory limit."""

MAX_CELLS = 20_000_000
MAX_BYTES = 1_000_000_000
"""The maximum size of a result: rows times columns, and bytes."""


class TooLarge(Exception):
    """A result is too large for a step."""


def read_expressions(kind: str, expressions: dict[str, str], doing: list[str]) -> list[pl.Expr]:
    """Parse the expressions of a transformation; `doing` is kept up to date for error messages."""
    found = []
    for name, text in expressions.items() if kind != "sql" else ():
        doing[0] = f"read `{name}`"
        found.append(pl.sql_expr(text))
    doing[0] = {"sql": "run the query"}.get(kind, kind)
    return found


def transform(
    kind: str, expressions: dict[str, str], by: list[str], frames: dict[str, pl.DataFrame], doing: list[str]
) -> pl.DataFrame:
    """Return the result of a transformation. New columns are named by the part after the dot."""
    parsed = read_expressions(kind, expressions, doing)
    names = list(frames)

    def compute(*given: pl.DataFrame) -> pl.DataFrame:
        if kind == "sql":
            with pl.SQLContext(frames=dict(zip(names, given, strict=True)), eager=True) as context:
                found: pl.DataFrame = context.execute(expressions["query"])
                return found
        frame = given[0]
        if not frame.width and kind != "aggregate":
            return frame
        if kind == "filter":
            return frame.filter(parsed).select(ROW_INDEX)
        named = [each.alias(name.partition(".")[2]) for each, name in zip(parsed, expressions, strict=True)]
        grouped = kind == "aggregate" and by
        return frame.group_by(by, maintain_order=True).agg(named) if grouped else frame.select(named)

    if kind == "filter" and frames["rows"].width:
        frames = {"rows": frames["rows"].with_row_index(ROW_INDEX)}
    result = computed(compute, *frames.values())
    if result.height * max(result.width, 1) > MAX_CELLS or result.estimated_size() > MAX_BYTES:
        raise TooLarge(
            f"the result has {result.height:,} rows and {result.estimated_size() // 1_000_000:,} MB, "
            "which is too large for the result of a step"
        )
    return result


def computed(compute: Callable[..., pl.DataFrame], *frames: pl.DataFrame) -> pl.DataFrame:
    """Return the result of `compute`, without silent overflow.

    64-bit integers of Polars overflow silently. If the values are so large that a sum or a product could overflow, the
    result is also computed with 128 bits, and used if it differs. Otherwise the 64-bit result is used, because its
    divisions are more exact.
    """
    narrow = compute(*frames)
    if not any(map(_may_overflow, frames)):
        return narrow
    try:
        wide = compute(*map(_widened, frames))
    except pl.exceptions.PolarsError:  # a function without 128-bit support
        return narrow
    return narrow if _agree(narrow, wide) else wide


def _may_overflow(frame: pl.DataFrame) -> bool:
    limit = min(_LARGE, 2**62 // max(frame.height, 1))
    columns = [pl.col(name) for name, kind in frame.schema.items() if kind == pl.Int64]
    if not columns:
        return False
    extremes = [
        *frame.select(column.max() for column in columns).row(0),
        *frame.select(c.min() for c in columns).row(0),
    ]
    return any(value is not None and not -limit < value < limit for value in extremes)


_LARGE = 2**31
"""The square of a smaller number is a 64-bit integer."""


def _widened(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).cast(pl.Int128) for name, kind in frame.schema.items() if kind == pl.Int64)


def _agree(narrow: pl.DataFrame, wide: pl.DataFrame) -> bool:
    if narrow.columns != wide.columns or narrow.height != wide.height:
        return False
    for name in narrow.columns:
        one, other = narrow[name], wide[name]
        if (
            one.dtype.is_numeric()
            and other.dtype.is_numeric()
            and not (one.dtype.is_integer() and other.dtype.is_integer())
        ):
            first, second = one.cast(pl.Float64), other.cast(pl.Float64)
            near = (first - second).abs() <= 1e-9 * first.abs().fill_null(0)
            same = bool((near | (first.is_null() & second.is_null()) | first.is_nan()).all())
        else:
            same = one.cast(other.dtype).equals(other, null_equal=True)
        if not same:
            return False
    return True


def limit_memory(most: int) -> None:
    """Exit this process when it uses more memory, in bytes; no limit on systems that do not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # kill this process rather than its owner
    unit = 1 if sys.platform == "darwin" else 1024

    def watch() -> None:
        while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit <= most:
            time.sleep(0.02)
        os._exit(OUT_OF_MEMORY)

    threading.Thread(target=watch, daemon=True).start()


def run_task() -> None:
    """Run the task in standard input."""
    task: dict[str, Any] = json.load(sys.stdin)
    limit_memory(task["memory"])
    doing = ["read the tables"]
    report = {}
    try:
        frames = {name: pl.read_ipc(path) for name, path in task["frames"].items()}
        transform(task["kind"], task["expressions"], task["by"], frames, doing).write_ipc(task["result"])
    except BaseException as error:  # including panics of Polars
        report = {"doing": doing[0], "error": type(error).__name__, "message": str(error)}
    Path(task["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    run_task()

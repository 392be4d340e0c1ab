"""Transforms tables with SQL: small transformations in this process, others in a separate process with limits.

Even on small tables, SQL can take unlimited time and memory (joins without a condition, `REPEAT`), and a long
expression overflows the stack of the thread in which Polars parses it. Importing this module loads Polars.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.text.words import shorten
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.processes import CompletedProcess, run_program
from orchestrator.tools.tables import sql_driver
from orchestrator.tools.tables.files import check_sql, polars_errors, to_frame, to_rows
from orchestrator.tools.tables.invalid_data import bad_data
from orchestrator.tools.tables.sql_inputs import substitute_inputs

if TYPE_CHECKING:
    from orchestrator.tools.contract import ToolContext
    from orchestrator.tools.tables.files import Row

_MOST_WORDS: Final = 200
"""Tokens of an expression that is evaluated in this process: 500 overflow a stack of 512 KB, as some systems have."""

_GROWS: Final = re.compile(r"\b(?:repeat|[lr]pad|replace|regexp_replace|concat\w*|string_agg|array_\w+)\b|\|\|", re.I)
_TEXT: Final = re.compile("'[^']*'")
_OPERATOR: Final = re.compile(r"[-+*/%<>=|&^]|\b(?:and|or|not|when|like|is)\b", re.IGNORECASE)
_MOST_OPERATORS: Final = 1_000
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_SECONDS: Final = 600.0
_MEMORY: Final = 4_000_000_000
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "TZ",
    "POLARS_MAX_THREADS",
)


class Transformation(Struct, frozen=True):
    """A transformation of tables. `expressions` are SQL, by the names used in errors: `where`, `values.total`.

    `inputs` are the values that they read as `:name`.
    """

    kind: Literal["filter", "select", "aggregate", "sql"]
    expressions: Mapping[str, str]
    by: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def small(self) -> bool:
        """Whether it can run in this process, because its time and memory depend only on the size of the table."""
        if self.kind == "sql":
            return False
        return all(
            len(_WORD.findall(text)) <= _MOST_WORDS and not _GROWS.search(text) for text in self.expressions.values()
        )


async def transform_tables(
    transformation: Transformation, tables: Mapping[str, list[Row]], context: ToolContext
) -> tuple[list[Row], list[str]]:
    """Return the rows and the columns of a transformation.

    Raises:
        StepError: ORC710, it is invalid, takes too long or too much memory, or its result is too large.
    """
    for name, text in transformation.expressions.items():
        if not isinstance(text, str):  # values of objects are as a pipeline computes them
            raise bad_data(f"`{name}` must be an SQL expression, not `{shorten(str(text))}`", "write it as a string")
        check_sql(text, name)
        _check_length(text, name)
    if transformation.kind == "sql":
        _check_query(transformation.expressions["query"])
    given = {
        name: substitute_inputs(text, transformation.inputs, name) for name, text in transformation.expressions.items()
    }
    transformation = replace(transformation, expressions=given)
    frames = await run_in_thread(lambda: {name: to_frame(rows, name) for name, rows in tables.items()})
    if transformation.small:
        result = await run_in_thread(partial(_here, transformation, frames))
    else:
        result = await _isolated(transformation, frames, context)
    return await run_in_thread(lambda: to_rows(result)), result.columns


def _check_length(sql: str, name: str) -> None:
    """Refuse SQL that Polars takes minutes to parse: its time is at least quadratic in a chain of operators."""
    count = len(_OPERATOR.findall(_TEXT.sub("", sql)))
    if count > _MOST_OPERATORS:
        raise bad_data(
            f"`{name}` has {count:,} operators, more than the maximum of {_MOST_OPERATORS:,}",
            "split it into several steps, or replace a chain of OR with a list, `x IN (1, 2)`",
        )


def _check_query(sql: str) -> None:
    """Refuse statements other than queries."""
    bare = re.sub(r"/\*.*?\*/|--[^\n]*", " ", sql, flags=re.DOTALL)
    if not re.match(r"\s*\(*\s*(select|with|from|values)\b", bare, re.IGNORECASE):
        raise bad_data("`query` is not a SELECT", "start it with SELECT or WITH")


def _here(transformation: Transformation, frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    doing = [""]
    try:
        return sql_driver.transform(
            transformation.kind, dict(transformation.expressions), list(transformation.by), frames, doing
        )
    except sql_driver.TooLarge as error:
        raise bad_data(str(error), "add a LIMIT, or aggregate") from error
    except BaseException:
        with polars_errors(doing[0]):
            raise


async def _isolated(
    transformation: Transformation, frames: dict[str, pl.DataFrame], context: ToolContext
) -> pl.DataFrame:
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as scratch:
        place = Path(scratch)
        paths = {name: str(place / f"{index}.arrow") for index, name in enumerate(frames)}

        def write() -> None:
            for name, frame in frames.items():
                frame.write_ipc(paths[name])

        await run_in_thread(write)
        task: dict[str, Any] = {
            "kind": transformation.kind,
            "expressions": dict(transformation.expressions),
            "by": list(transformation.by),
            "frames": paths,
            "result": str(place / "result.arrow"),
            "report": str(place / "report.json"),
            "memory": _memory(),
        }
        done = await run_program(
            [sys.executable, "-I", "-X", "utf8", str(Path(sql_driver.__file__))],
            directory=context.directory,
            environment={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            stdin=json.dumps(task).encode(),
            timeout=_SECONDS,
            max_output=100_000,
        )
        _raise_failure(done, place / "report.json")
        result: pl.DataFrame = await run_in_thread(lambda: pl.read_ipc((place / "result.arrow").read_bytes()))
        return result


def _memory() -> int:
    """Return the memory limit of a process in bytes: at most half of the machine's memory."""
    try:
        return min(_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    except (AttributeError, ValueError, OSError):
        return _MEMORY


def _raise_failure(done: CompletedProcess, report: Path) -> None:
    """Raise the error of the process, if there is one."""
    if done.timed_out:
        raise bad_data(f"the SQL ran longer than {_SECONDS:g} s and was stopped", "filter or aggregate before joining")
    if done.exit_code == sql_driver.OUT_OF_MEMORY:
        message = f"the SQL used more than {_memory() / 1e9:.1f} GB of memory and was stopped"
        raise bad_data(message, "join on columns, filter before joining, or shorten strings")
    try:
        outcome: dict[str, str] = json.loads(report.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        message = f"the SQL process exited with status {done.exit_code}: the SQL is too long or too deeply nested"
        raise bad_data(
            message, "split it into several steps, or replace a chain of OR with a list: `x IN (1, 2)`"
        ) from error
    if outcome.get("error") == "TooLarge":
        raise bad_data(outcome["message"], "add a LIMIT, or aggregate")
    if outcome:
        kind = getattr(pl.exceptions, outcome["error"], pl.exceptions.ComputeError)
        with polars_errors(outcome["doing"]):
            raise kind(outcome["message"])

"""Tables between JSON rows, files and Polars frames. Importing this module loads Polars."""

from __future__ import annotations

import io
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

ROW_INDEX = "\0row"
"""The name of a column of row numbers; no file has a column of this name."""

FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$"
_BOOLEAN = r"^(true|false)$"
_READS_FILES = re.compile(
    r"\b(?:read|scan)_(?:csv|parquet|ipc|json|ndjson|avro|delta|iceberg|excel|database)\b"
    r"|\b(?:read|scan)_\w+[\"`\]]*(?:\s|/\*.*?\*/|--[^\n]*\n)*\(",
    re.IGNORECASE | re.DOTALL,
)


def bad_data(message: str, help: str | None = None) -> StepError:
    """Return the error for data, or an instruction, that cannot be processed."""
    return StepError(message, code="ORC710", help=help, retryable=False)


@contextmanager
def polars_errors(doing: str) -> Iterator[None]:
    """Turn Polars' errors into step errors in plain words."""
    try:
        yield
    except pl.exceptions.ColumnNotFoundError as error:
        named = re.search(r'column "([^"]*)"(?:; valid columns: \[(.*)\])?', str(error))
        if named is None:
            raise bad_data(f"cannot {doing}: {_first_line(error)}") from error
        known = [name for name in re.findall(r'"([^"]*)"', named[2] or "") if name != ROW_INDEX.replace("\0", "\\0")]
        help = f"the columns are {', '.join(f'`{name}`' for name in known)}" if known else None
        raise bad_data(f"cannot {doing}: there is no column `{named[1]}`", help) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError, OverflowError) as error:
        raise bad_data(f"cannot {doing}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]


def to_frame(rows: list[Row], what: str = "rows") -> pl.DataFrame:
    """Make a frame of rows. A column holds values of one kind: nothing is turned into text to make it fit."""
    kinds: dict[str, tuple[str, int]] = {}
    for index, row in enumerate(rows):
        for name, value in row.items():
            if value is None:
                continue
            kind = _KINDS.get(type(value), "object")
            first = kinds.setdefault(name, (kind, index))
            if first[0] != kind:
                raise bad_data(
                    f"the column `{name}` of `{what}` holds {first[0]} in row {first[1]} and {kind} in row {index}",
                    "give the column values of one kind",
                )
    names = {name: None for row in rows for name in row}
    with polars_errors(f"make a table of `{what}`"):
        return pl.DataFrame({name: _column([row.get(name) for row in rows]) for name in names}, strict=True)


def _column(values: list[Any]) -> list[Any]:
    """The values, with integers among floats as floats."""
    kinds = set(map(type, values))
    if int in kinds and float in kinds:
        return [float(value) if type(value) is int else value for value in values]
    return values


_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


def to_rows(frame: pl.DataFrame) -> list[Row]:
    """Return the rows of a frame; NaN, which JSON does not have, as null."""
    floats = [name for name, kind in frame.schema.items() if kind in (pl.Float32, pl.Float64)]
    return frame.with_columns(pl.col(name).fill_nan(None) for name in floats).to_dicts()


def expression(text: str, what: str) -> pl.Expr:
    """Read an SQL expression over columns."""
    check_sql(text, what)
    with polars_errors(f"read `{what}`"):
        return pl.sql_expr(text)


def query(sql: str, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Run one SELECT over named tables."""
    check_sql(sql, "query")
    if not re.match(r"\s*\(*\s*(select|with|from|values)\b", _without_comments(sql), re.IGNORECASE):
        raise bad_data("`query` is no SELECT", "begin it with SELECT or WITH")
    with polars_errors("run the query"), pl.SQLContext(frames=tables, eager=True) as context:
        result: pl.DataFrame = context.execute(sql)
        return result


def check_sql(sql: str, what: str) -> None:
    """Refuse functions that read files: they would go round the permissions."""
    if _READS_FILES.search(sql):
        raise bad_data(f"`{what}` may not read files itself", "give the file's path as a table or as `rows`")


def _without_comments(sql: str) -> str:
    return re.sub(r"/\*.*?\*/|--[^\n]*", " ", sql, flags=re.DOTALL)


def parse(data: bytes, format: str, path: str) -> list[Row]:
    """Read rows from the bytes of a file."""
    try:
        match format:
            case "csv" | "tsv":
                return _parse_csv(data, "\t" if format == "tsv" else ",", path)
            case "json":
                return _objects(json.loads(data), path)
            case "jsonl":
                lines = data.decode("utf-8-sig").splitlines()
                return _objects(
                    [_parse_line(line, number, path) for number, line in enumerate(lines, 1) if line.strip()], path
                )
    except ValueError as error:
        raise bad_data(f"`{path}` is no valid {format.upper()}: {_first_line(error)}") from error
    with polars_errors(f"read `{path}`"):
        return to_rows(pl.read_parquet(io.BytesIO(data)))


def _parse_line(line: str, number: int, path: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise bad_data(f"line {number} of `{path}` is no valid JSON: {error}") from error


def _objects(value: Any, path: str) -> list[Row]:
    if not isinstance(value, list):
        raise bad_data(f"`{path}` holds no list of objects", "read it with `filesystem` and the filter `from_json`")
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise bad_data(f"row {index} of `{path}` is no object")
    return value


def _parse_csv(data: bytes, separator: str, path: str) -> list[Row]:
    """Read a CSV file. A column becomes numbers only if that loses nothing: `007` stays text."""
    if not data.strip():
        return []
    with polars_errors(f"read `{path}`"):
        frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
        typed = []
        for name in frame.columns:
            values = frame[name].drop_nulls()
            column = pl.col(name)
            if values.len() == 0:
                typed.append(column)
            elif values.str.contains(_INTEGER).all():
                typed.append(column.cast(pl.Int64))
            elif values.str.contains(_NUMBER).all():
                typed.append(column.cast(pl.Float64))
            elif values.str.contains(_BOOLEAN).all():
                typed.append(column == "true")
            else:
                typed.append(column)
        return frame.select(typed).to_dicts()


def dump(rows: list[Row], format: str) -> bytes:
    """Write rows as the bytes of a file."""
    if format == "json":
        return (json.dumps(rows, ensure_ascii=False, indent=2) + "\n").encode()
    if format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    frame, buffer = to_frame(rows), io.BytesIO()
    with polars_errors(f"write {format.upper()}"):
        if format == "parquet":
            frame.write_parquet(buffer)
        else:
            nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
            if nested:
                raise bad_data(
                    f"the column `{nested[0]}` holds lists or objects, which CSV has no place for", "use JSON"
                )
            frame.write_csv(buffer, separator="\t" if format == "tsv" else ",")
    return buffer.getvalue()

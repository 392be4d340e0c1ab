"""Converts tables between JSON rows, files and Polars frames. Importing this module loads Polars."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from msgspec import Struct

from orchestrator.text.content import NotText, decode_text
from orchestrator.text.csv_text import BadRecord, ColumnType, csv_of, csv_table, delimited, delimiter_problem
from orchestrator.text.json_text import read_json
from orchestrator.text.words import quoted_list
from orchestrator.tools.tables.columns import Column
from orchestrator.tools.tables.invalid_data import bad_data
from orchestrator.tools.tables.sql_driver import MAX_CELLS, ROW_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

_READS_FILES = re.compile(
    r"\b(?:read|scan)_(?:csv|parquet|ipc|json|ndjson|avro|delta|iceberg|excel|database)\b"
    r"|\b(?:read|scan)_\w+[\"`\]]*(?:\s|/\*.*?\*/|--[^\n]*\n)*\(",
    re.IGNORECASE | re.DOTALL,
)


@contextmanager
def polars_errors(doing: str) -> Iterator[None]:
    """Turn errors of Polars into step errors."""
    try:
        yield
    except pl.exceptions.ColumnNotFoundError as error:
        named = re.search(r'column "([^"]*)"(?:; valid columns: \[(.*)\])?', str(error))
        if named is None:
            raise bad_data(f"cannot {doing}: {_first_line(error)}") from error
        known = [name for name in re.findall(r'"([^"]*)"', named[2] or "") if name != ROW_INDEX.replace("\0", "\\0")]
        help = f"the columns are {quoted_list(known)}" if known else None
        raise bad_data(f"cannot {doing}: unknown column `{named[1]}`", help) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError, OverflowError) as error:
        raise bad_data(f"cannot {doing}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]


def to_frame(rows: list[Row], what: str = "rows") -> pl.DataFrame:
    """Create a frame from rows. A column has values of one kind: nothing is converted to text."""
    check_kinds(rows, what)
    names = {name: None for row in rows for name in row}
    columns = {name: _column([row.get(name) for row in rows], name, what) for name in names}
    with polars_errors(f"create a table from `{what}`"):
        return pl.DataFrame(columns, strict=True)


def check_kinds(rows: list[Row], what: str) -> dict[str, str]:
    """Return the kind of the values of each column. Raises StepError if a column has several."""
    kinds: dict[str, tuple[str, int]] = {}
    for index, row in enumerate(rows):
        for name, value in row.items():
            if value is None:
                continue
            kind = _KINDS.get(type(value), "object")
            first = kinds.setdefault(name, (kind, index))
            if first[0] != kind:
                raise bad_data(
                    f"the column `{name}` of `{what}` has {first[0]} in row {first[1]} and {kind} in row {index}",
                    "use values of one kind in the column",
                )
    return {name: kind for name, (kind, _) in kinds.items()}


def _column(values: list[Any], name: str, what: str) -> list[Any]:
    """Return the values, with integers among floats converted to floats."""
    kinds = set(map(type, values))
    if int not in kinds or float not in kinds:
        return values
    for index, value in enumerate(values):
        if type(value) is int and not -_EXACT <= value <= _EXACT and float(value) != value:
            raise bad_data(
                f"the column `{name}` of `{what}` has decimal numbers, and in row {index} the integer {value}, "
                "which would lose digits",
                "make the column strings, for example with `types` of `data.read`, or all integers",
            )
    return [float(value) if type(value) is int else value for value in values]


_EXACT = 2**53
"""Every integer up to this one is exact as a 64-bit float."""


_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}


def to_rows(frame: pl.DataFrame) -> list[Row]:
    """Return the rows of a frame, with NaN as null and decimals as numbers."""
    floats = [name for name, kind in frame.schema.items() if kind in (pl.Float32, pl.Float64)]
    decimals = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)]
    rows = frame.with_columns(pl.col(name).fill_nan(None) for name in floats).to_dicts()
    for row in rows if decimals else ():
        for name in decimals:
            row[name] = _number(row[name])
    return rows


def _number(value: Decimal | None) -> int | float | str | None:
    """Return a decimal (the SQL type of a number with a point) as a number, or as text if that would lose digits."""
    if value is None:
        return None
    number = float(value)
    if Decimal(repr(number)) == value:
        return number
    return int(value) if value == value.to_integral_value() else str(value)


def check_size(rows: int, columns: int, help: str) -> None:
    """Refuse a result that is too large for a step."""
    if rows * columns > MAX_CELLS:
        raise bad_data(f"the result would have {rows:,} rows with {columns:,} columns, which is too large", help)


def check_sql(sql: str, what: str) -> None:
    """Refuse functions that read files, because they would bypass the permissions."""
    if _READS_FILES.search(sql):
        raise bad_data(f"`{what}` cannot read files", "pass the path of the file as a table or as `rows`")


class RowsLayout(Struct, frozen=True):
    """The encoding, delimiter and column types of a text file; detected if not given."""

    encoding: str | None = None
    delimiter: str | None = None
    types: Mapping[str, ColumnType] | None = None
    as_text: frozenset[str] = frozenset()  # columns that stay text, if the file has them


DETECTED: Final = RowsLayout()
"""Nothing is given, so that all is detected."""


def parse_rows(data: bytes, format: str, path: str, layout: RowsLayout = DETECTED) -> tuple[list[Row], str | None]:
    """Parse the bytes of a file; return the rows, and the delimiter if it was guessed."""
    _refuse_layout(format, delimiter=layout.delimiter, types=layout.types)
    if format == "parquet":
        _refuse_layout(format, encoding=layout.encoding)
        with polars_errors(f"read `{path}`"):
            return to_rows(pl.read_parquet(io.BytesIO(data))), None
    try:
        text = decode_text(data, layout.encoding)
    except NotText as error:
        raise bad_data(f"`{path}` cannot be read: {error}", error.help) from error
    if format in ("csv", "tsv"):
        return _parse_csv(text, format, path, layout)
    if format == "json":
        try:
            return _objects(read_json(text), path), None
        except ValueError as error:
            raise bad_data(f"`{path}` is not valid JSON: {error}") from error
    lines = enumerate(text.split("\n"), 1)  # JSON text can contain all other line separators
    return _objects([_parse_line(line, number, path) for number, line in lines if line.strip()], path), None


def _refuse_layout(format: str, **given: object) -> None:
    """Refuse parameters that are not valid for a format."""
    name = next((name for name, value in given.items() if value), None)
    if name is not None and format not in ("csv", "tsv"):
        raise bad_data(f"`{name}` is not valid for {format.upper()}", f"remove `{name}`, or set `format: csv`")


def _parse_line(line: str, number: int, path: str) -> Any:
    try:
        return read_json(line)
    except ValueError as error:
        raise bad_data(f"line {number} of `{path}` is not valid JSON: {error}") from error


def _objects(value: Any, path: str) -> list[Row]:
    if not isinstance(value, list):
        raise bad_data(
            f"`{path}` does not contain a list of objects", "read it with `filesystem` and the filter `from_json`"
        )
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise bad_data(f"row {index} of `{path}` is not an object")
    return value


def _parse_csv(text: str, format: str, path: str, layout: RowsLayout) -> tuple[list[Row], str | None]:
    """Parse a CSV file. A column becomes numbers only if that loses nothing: `007` stays text."""
    usual = "\t" if format == "tsv" else ","
    named = layout.delimiter or ("\t" if format == "tsv" else None)
    if named is not None and (problem := delimiter_problem(named)) is not None:
        raise bad_data(problem)
    delimiter, lines = delimited(io.StringIO(text, newline=""), named)
    types = layout.types or {}
    names: list[str] | None = None
    cells: list[list[str | None]] = []
    for record in csv_table(lines, delimiter):
        if isinstance(record, BadRecord):
            raise bad_data(f"line {record.line} of `{path}` {record.reason}", record.help)
        if names is None:
            names = [cell or "" for cell in record.cells]
        else:
            cells.append(record.cells)
    unknown = next((name for name in types if name not in (names or ())), None)
    if unknown is not None and names is not None:
        known = quoted_list(names)
        raise bad_data(
            f"`types` names the column `{unknown}`, which `{path}` does not have", f"the columns are {known}"
        )
    types = {**dict.fromkeys(layout.as_text, "string"), **types}
    columns = []
    for name, column in zip(names or (), zip(*cells, strict=True), strict=False):
        kind = Column(types.get(name))
        try:
            kind.add(column)
            columns.append(kind.values(column))
        except ValueError as error:
            raise bad_data(
                f"the column `{name}` of `{path}` {error}", "change its type in `types`, or fix the file"
            ) from error
    rows = [dict(zip(names or (), row, strict=True)) for row in zip(*columns, strict=True)]
    return rows, delimiter if layout.delimiter is None and delimiter != usual else None


def dump_rows(rows: list[Row], format: str, delimiter: str | None = None) -> bytes:
    """Return rows as the bytes of a file."""
    _refuse_layout(format, delimiter=delimiter)
    if format == "json":
        return (json.dumps(rows, ensure_ascii=False, indent=2) + "\n").encode()
    if format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if format == "parquet":
        frame, buffer = to_frame(rows), io.BytesIO()
        with polars_errors("write Parquet"):
            frame.write_parquet(buffer)
        return buffer.getvalue()
    delimiter = delimiter or ("\t" if format == "tsv" else ",")
    if (problem := delimiter_problem(delimiter)) is not None:
        raise bad_data(problem)
    kinds = check_kinds(rows, "rows")
    nested = next((name for name, kind in kinds.items() if kind in ("a list", "an object")), None)
    if nested is not None:
        raise bad_data(f"the column `{nested}` has lists or objects, which CSV does not support", "use JSON")
    return csv_of(list({name: None for row in rows for name in row}), rows, delimiter).encode()


def require_columns(rows: list[Row], names: list[str]) -> None:
    """Refuse unknown columns; without rows, all columns are accepted."""
    known = {name: None for row in rows for name in row}
    for name in names:
        if rows and name not in known:
            help = f"the columns are {quoted_list(known)}"
            raise bad_data(f"unknown column `{name}`", help)

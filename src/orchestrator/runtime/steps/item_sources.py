"""What a `for_each` loop iterates over: a value, a range, or a file, which is never held in memory as a whole."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions.limits import MAX_LOOP_RANGE, RANGE_HELP, range_count, range_problem
from orchestrator.plan.loop_items import FILE_FORMATS, FileItems, MatrixItems, RangeItems, ZippedItems
from orchestrator.runtime.steps.combined_items import combined_items
from orchestrator.text.content import ENCODING_SAMPLE, NotText, encoding_of, is_damaged, text_file, undecodable
from orchestrator.text.csv_text import BadRecord, ColumnType, csv_table, delimited, delimiter_name
from orchestrator.text.json_text import read_json
from orchestrator.text.words import describe_value, quoted_list
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.paths import Location, open_location, path_status
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.tables.columns import Column

if TYPE_CHECKING:
    from io import TextIOWrapper

    from orchestrator.expressions import Scope
    from orchestrator.plan.steps import ForEach
    from orchestrator.tools import Permissions

MOST_LINE = 64 * 1024 * 1024
"""Characters of the longest line of a file of items."""

_MOST_RECORDS: Final = 500
_MOST_CHARACTERS: Final = 1_000_000
"""Records, and characters in them, that are checked together."""


class Items(Struct, frozen=True):
    """What a loop goes through: how many there are, if that is known; `mark` tells a file from what it was before.

    `hint` reports what was guessed about the file. If there is a `scan`, it must end before the first of the rows is
    read.
    """

    rows: Generator[Any, None, None]
    count: int | None = None
    mark: str | None = None
    hint: str | None = None
    scan: Callable[[], Coroutine[Any, Any, None]] | None = None


def items_of(loop: ForEach, scope: Scope, *, directory: Path, permissions: Permissions) -> Items:
    """Begin to go through the items of a loop.

    Raises:
        StepError: ORC713, there is nothing to go through; ORC703 or ORC714 where it is a file.
        EvaluationError: An expression cannot be evaluated.
    """
    match loop.items:
        case FileItems() as file:
            path = file.path.evaluate(scope)
            if not isinstance(path, str):
                raise StepError(
                    f"the file of a loop must be a string, not {describe_value(path)}",
                    code=codes.NOT_ITERABLE,
                    retryable=False,
                )
            return _file_items(directory / path, file, permissions)
        case RangeItems() as limits:
            given = (value.evaluate(scope) for value in (limits.start, limits.stop, limits.step))
            bounds: list[Any] = [int(each) if type(each) is float and each.is_integer() else each for each in given]
            if not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
                raise StepError(
                    f"a range needs integers, not {', '.join(map(describe_value, bounds))}",
                    code=codes.NOT_ITERABLE,
                    help="convert them with `| int`; the third one, the step, must not be 0",
                    retryable=False,
                )
            count = range_count(bounds[0], bounds[1], bounds[2])
            if count > MAX_LOOP_RANGE:
                raise StepError(range_problem(), code=codes.NOT_ITERABLE, help=RANGE_HELP, retryable=False)
            return Items((number for number in range(*bounds)), count)
        case MatrixItems() | ZippedItems() as lists:
            rows, total = combined_items(lists, scope)
            return Items((item for item in rows), total)
        case value:
            found = value.evaluate(scope)
            if isinstance(found, Mapping):
                return Items(({"key": key, "value": item} for key, item in found.items()), len(found))
            if isinstance(found, list):
                return Items((item for item in found), len(found))
            raise StepError(
                f"`for_each` iterates over a list, an object or a range, not over {describe_value(found)}",
                code=codes.NOT_ITERABLE,
                help="convert it to a list, for example with `| list` or `| default([], true)`",
                retryable=False,
            )


def _file_items(path: Path, items: FileItems, permissions: Permissions) -> Items:
    place = permissions.locate(path)
    if isinstance(place, Refusal):
        raise place.error()
    try:
        state = path_status(place)
    except OSError as error:
        raise _unreadable(path, error) from error
    if state is None:
        raise _unreadable(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for, a device has no end
        raise StepError(
            f"the items cannot be read from `{path}`: not a regular file",
            code=codes.ITEMS_FILE_CHANGED,
            help="write its content to a file first",
            retryable=False,
        )
    mark = _mark_of(state)
    file = _File(place, path, items.encoding)
    format = items.format or FILE_FORMATS.get(path.suffix.lower(), "text")
    if format != "csv":
        return Items(_lines(file, format), None, mark)
    usual = "\t" if items.format is None and path.suffix.lower() == ".tsv" else ","
    delimiter = items.delimiter
    if delimiter is None and usual == ",":
        with _opened(file, newline="") as text:
            delimiter, _ = delimited(_texts(text, path), None)
    hint = None
    if items.delimiter is None and delimiter not in (None, usual):
        hint = (
            f"`{path.name}` is read with {delimiter_name(delimiter)} between its cells; set `delimiter` to change that"
        )
    table = _CsvRows(file, delimiter or usual, items.types or {}, mark)
    return Items(table.rows(), None, mark, hint, table.scan)


def _mark_of(state: os.stat_result) -> str:
    return f"{state.st_size}:{state.st_mtime_ns}"


class _File(Struct, frozen=True):
    """A file of items: where it lies, as it was named, and its encoding where that is given."""

    place: Location
    path: Path
    encoding: str | None


def _opened(file: _File, *, newline: Literal["\n", ""] = "\n") -> TextIOWrapper:
    try:
        content = os.fdopen(open_location(file.place, os.O_RDONLY), "rb")
    except OSError as error:
        raise _unreadable(file.path, error) from error
    try:
        codec = encoding_of(content.read(ENCODING_SAMPLE), file.encoding)
    except NotText as error:
        content.close()
        raise _bad_row(file.path, 0, str(error), error.help) from error
    content.seek(0)
    return text_file(content, codec, newline=newline)


def _unreadable(path: Path, error: OSError) -> StepError:
    reason = error.strerror.lower() if error.strerror else "it cannot be opened"
    return StepError(
        f"the items cannot be read from `{path}`: {reason}",
        code=codes.ITEMS_FILE_CHANGED,
        help="check the path; relative paths start at the working directory",
    )


def _texts(file: TextIOWrapper, path: Path) -> Iterator[str]:
    number = 0
    try:
        while line := file.readline(MOST_LINE):
            number += 1
            line = line if number > 1 else line.removeprefix("\ufeff")
            if is_damaged(line):
                wrong = undecodable(file.encoding)
                raise _bad_row(path, number, str(wrong), wrong.help)
            yield line
    except UnicodeError as error:
        wrong = undecodable(file.encoding)
        raise _bad_row(path, 0, str(wrong), wrong.help) from error


class _CsvRows:
    """The rows of a CSV file. `scan` reads all of it once, as the types of the columns depend on all of their cells."""

    def __init__(self, file: _File, delimiter: str, types: Mapping[str, ColumnType], mark: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self._types = types
        self._mark = mark
        self._columns: list[Column] = []
        self._stopped = False

    async def scan(self) -> None:
        """Read the file in a thread.

        Raises:
            StepError: ORC714, it is not a table, or has cells or columns that do not fit `types`.
        """
        try:
            await run_in_thread(self._scan)
        except asyncio.CancelledError:
            self._stopped = True
            raise

    def rows(self) -> Generator[dict[str, Any], None, None]:
        """Yield the rows as objects, after `scan`."""
        with _opened(self._file, newline="") as text:
            if _mark_of(os.fstat(text.fileno())) != self._mark:
                raise self._changed()
            records = self._records(text)
            names = next(records, [])
            if len(names) != len(self._columns):
                raise self._changed()
            conversions = [column.conversion() for column in self._columns]
            for cells in records:
                try:
                    values = [
                        cell if convert is None else convert(cell) if cell else None
                        for cell, convert in zip(cells, conversions, strict=True)
                    ]
                except ValueError as error:
                    raise self._changed() from error
                yield {name or "": value for name, value in zip(names, values, strict=True)}

    def _scan(self) -> None:
        with _opened(self._file, newline="") as text:
            records = self._records(text)
            names = [name or "" for name in next(records, [])]
            if names and (unknown := next((name for name in self._types if name not in names), None)) is not None:
                raise _bad_row(
                    self._file.path,
                    0,
                    f"`types` names the column `{unknown}`, which it does not have",
                    f"the columns are {quoted_list(names)}",
                )
            self._columns = [Column(self._types.get(name)) for name in names]
            while (batch := _some_of(records)) and not self._stopped:
                for name, column, cells in zip(names, self._columns, zip(*batch, strict=True), strict=True):
                    try:
                        column.add(cells)
                    except ValueError as error:
                        help = "change its type in `types`, or fix the file"
                        raise _bad_row(self._file.path, 0, f"the column `{name}` {error}", help) from error

    def _records(self, text: TextIOWrapper) -> Iterator[list[str | None]]:
        for record in csv_table(_texts(text, self._file.path), self._delimiter):
            if isinstance(record, BadRecord):
                raise _bad_row(self._file.path, record.line, f"it {record.reason}", record.help)
            yield record.cells

    def _changed(self) -> StepError:
        return _bad_row(self._file.path, 0, "it has changed while it was being read", "restore the file")


def _some_of(records: Iterator[list[str | None]]) -> list[list[str | None]]:
    """Take as many records as are quickly checked together, but not many large ones."""
    found: list[list[str | None]] = []
    size = 0
    for cells in records:
        found.append(cells)
        size += sum(len(cell) for cell in cells if cell)
        if len(found) == _MOST_RECORDS or size >= _MOST_CHARACTERS:
            break
    return found


def _lines(file: _File, format: str) -> Generator[Any, None, None]:
    with _opened(file) as text:
        for number, line in enumerate(_texts(text, file.path), 1):
            item = line.rstrip("\r\n")
            if format == "text":
                yield item
            elif item.strip():
                try:
                    yield read_json(item)
                except ValueError as error:
                    raise _bad_row(file.path, number, f"it is not JSON: {error}") from error


def _bad_row(path: Path, number: int, reason: str, help: str | None = None) -> StepError:
    where = f"line {number} of `{path}`" if number else f"`{path}`"
    return StepError(
        f"{where} cannot be read: {reason}",
        code=codes.ITEMS_FILE_CHANGED,
        help=f"{help or 'fix the file'}; then resume the run",
        retryable=False,
    )

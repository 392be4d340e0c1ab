"""The rows of a batch, read one after another from JSON Lines, CSV or stdin; a row that cannot be read is an error."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from orchestrator.errors import InputError, OrchestratorError
from orchestrator.runtime.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.language.spec import InputSpec
    from orchestrator.runtime.batches import Row

MOST_LINE: Final = 64 * 1024 * 1024
"""Bytes of the longest row."""

_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}


class Rows:
    """Iterates over the rows of an open file."""

    def __init__(
        self,
        file: IO[bytes],
        name: str,
        specs: Mapping[str, InputSpec],
        shared: Mapping[str, Any],
        *,
        delimiter: str = "",
    ) -> None:
        """With a `delimiter` this is CSV; a cell is read by the type of the input that its column is named for."""
        self._file = file
        self._name = name
        self._specs = specs
        self._shared = shared
        self._delimiter = delimiter
        self._fault: InputError | None = None
        self._line = 0
        self._bytes = 0
        found = os.fstat(file.fileno())
        self._size = found.st_size if stat.S_ISREG(found.st_mode) else 0

    @property
    def read(self) -> float | None:
        """How much has been read, from 0 to 1; None where the end is not known."""
        return min(1.0, self._bytes / self._size) if self._size else None

    def __iter__(self) -> Iterator[Row]:
        """Yield the inputs of each row, or the error for which they cannot be read. Empty lines are no rows."""
        for row in self._csv_rows() if self._delimiter else self._json_rows():
            yield row if isinstance(row, OrchestratorError) else {**self._shared, **row}

    def _json_rows(self) -> Iterator[Row]:
        for line in self._lines():
            if isinstance(line, InputError):
                yield line
            elif line.strip():
                yield self._json_row(line)

    def _json_row(self, line: str) -> Row:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "it is nested too deeply")
            return self._wrong(f"is no JSON: {reason}", "write one JSON object with the inputs on each line")
        if not isinstance(value, dict):
            return self._wrong("is no JSON object", 'write one object with the inputs on each line: {"name": "value"}')
        return value

    def _csv_rows(self) -> Iterator[Row]:
        names: list[str] | None = None
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._wrong(f"is no CSV: {error}", 'write quotes within quotes twice: "a ""b"" c"')
                continue
            if self._fault is not None:
                yield self._fault
                self._fault = None
                continue
            if not cells:
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
            elif len(cells) != len(names):
                wanted = f"has {len(cells)} cells, and the first line names {len(names)} columns"
                yield self._wrong(wanted, "put a value that has commas in it between quotes")
            else:
                yield self._csv_row(names, cells)

    def _csv_row(self, names: list[str], cells: list[str]) -> Row:
        """Read each cell by the type of its input; an empty one is not given."""
        values: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            spec = self._specs.get(name)
            if not cell:
                continue
            try:
                values[name] = cell if spec is None else spec.parse_text(cell)
            except ValueError as error:
                hide = Redactor({name: cell} if spec is not None and spec.secret else {}, "hidden")
                said = hide.text(str(error).removeprefix("it "))
                return self._wrong(f"is wrong: `{name}` {said}", "write the value as its input's type asks for")
        return values

    def _texts(self) -> Iterator[str]:
        """The lines as text, for the reader of CSV, which joins lines."""
        for line in self._lines():
            if isinstance(line, InputError):
                self._fault = line
                yield "\n"
            else:
                yield line

    def _lines(self) -> Iterator[str | InputError]:
        while line := self._file.readline(MOST_LINE):
            self._line += 1
            self._bytes += len(line)
            if len(line) == MOST_LINE:
                while line and not line.endswith(b"\n"):
                    line = self._file.readline(MOST_LINE)
                    self._bytes += len(line)
                limit = f"{MOST_LINE // (1024 * 1024)} MiB"
                yield self._wrong(f"is longer than {limit}", "put large data into files that a step reads")
                continue
            try:
                yield line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError:
                yield self._wrong("is not UTF-8 text", "save the file as UTF-8")

    def _wrong(self, problem: str, help: str) -> InputError:
        return InputError(f"line {self._line} of {self._name} {problem}", help=help)


@contextmanager
def open_rows(source: Path, specs: Mapping[str, InputSpec], shared: Mapping[str, Any]) -> Iterator[Rows]:
    """Open a file of rows, `-` for stdin: CSV by its name (`.csv`, `.tsv`), else JSON Lines.

    `shared` are inputs that every row has unless it gives them itself.

    Raises:
        InputError: It cannot be opened.
    """
    if str(source) == "-":
        yield Rows(sys.stdin.buffer, "stdin", specs, shared)
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise InputError(
            f"the rows cannot be read from `{source}`: {(error.strerror or str(error)).lower()}",
            help="give a file of JSON Lines or CSV, or `-` for JSON Lines on stdin",
        ) from error
    with file:
        yield Rows(file, f"`{source}`", specs, shared, delimiter=_DELIMITERS.get(source.suffix.lower(), ""))

"""The rows of a batch, read one after another from JSON Lines, CSV or stdin; a row that cannot be read is an error."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import InputError, OrchestratorError
from orchestrator.language.spec.input_values import parse_input_text
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.text.content import ENCODING_SAMPLE, NotText, encoding_of, is_damaged, text_file, undecodable
from orchestrator.text.csv_text import BadRecord, csv_table, delimited, delimiter_name, delimiter_problem
from orchestrator.text.json_text import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader
    from pathlib import Path

    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.runtime.host.batches import Row

MOST_LINE: Final = 64 * 1024 * 1024
"""Characters of the longest row."""

_CSV: Final = {".csv": None, ".tsv": "\t"}
"""The suffixes of CSV files, with the delimiter that the suffix implies."""


class Rows:
    """Iterates over the rows of an open file."""

    def __init__(
        self,
        file: BufferedReader,
        name: str,
        specs: Mapping[str, InputSpec],
        shared: Mapping[str, Any],
        *,
        csv: bool = False,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> None:
        """In CSV a cell is read by the type of the input that its column is named for.

        Without a `delimiter` it is found out by the first lines, and `hint` says so. Without an `encoding` the text is
        UTF-8, or UTF-16 by its mark.

        Raises:
            InputError: There is no encoding of this name.
        """
        found = os.fstat(file.fileno())
        is_file = stat.S_ISREG(found.st_mode)
        try:
            codec = encoding_of(file.peek(ENCODING_SAMPLE)[:ENCODING_SAMPLE], encoding)
        except NotText as error:
            raise InputError(str(error), help=error.help) from error
        self._descriptor = file.fileno()
        self._file = text_file(file, codec, newline="" if csv else "\n")
        self._name = name
        self._specs = specs
        self._shared = shared
        self._csv = csv
        self.count = 0
        """How many rows have been read."""
        self._reading: Iterator[Row] = iter(())
        self._line = 0
        self._size = found.st_size if is_file else 0
        self.hint: str | None = None
        self._delimiter, self._begun = (delimiter or ",", iter(())) if delimiter or not csv else self._guess()

    def _guess(self) -> tuple[str, Iterator[str | BadRecord]]:
        delimiter, lines = delimited(self._read(), None)
        if delimiter != ",":
            option = r"'\t'" if delimiter == "\t" else f"'{delimiter}'"
            between = f"{self._name} is read with {delimiter_name(delimiter)} between its cells"
            self.hint = f"{between}; `--delimiter {option}` says so"
        return delimiter, lines

    @property
    def read(self) -> float | None:
        """How much has been read, from 0 to 1; None where the end is not known."""
        return min(1.0, os.lseek(self._descriptor, 0, os.SEEK_CUR) / self._size) if self._size else None

    def __iter__(self) -> Iterator[Row]:
        """Yield the inputs of each row, or the error for which they cannot be read. Empty lines are no rows."""
        self._reading = self._csv_rows() if self._csv else self._json_rows()
        for row in self._reading:
            self.count += 1
            yield row if isinstance(row, OrchestratorError) else {**self._shared, **row}

    def count_rest(self) -> int | None:
        """Read to the end, and return how many rows there were; None where the end may never come, as of a pipe."""
        if not self._size:
            return None
        try:
            return sum(1 for _ in self._reading)
        except ValueError:  # another thread still reads a row
            return None

    def _json_rows(self) -> Iterator[Row]:
        for line in self._lines():
            if isinstance(line, BadRecord):
                yield self._bad_line(line.line, line.reason, line.help)
            elif line.strip():
                yield self._json_row(line)

    def _json_row(self, line: str) -> Row:
        try:
            value = read_json(line)
        except ValueError as error:
            help = "write one JSON object with the inputs on each line"
            return self._bad_line(self._line, f"is not JSON: {error}", help)
        if not isinstance(value, dict):
            help = 'write one object with the inputs on each line: {"name": "value"}'
            return self._bad_line(self._line, "is not a JSON object", help)
        return value

    def _csv_rows(self) -> Iterator[Row]:
        names: list[str] | None = None
        for record in csv_table(self._lines(), self._delimiter):
            if isinstance(record, BadRecord):
                yield self._bad_line(record.line, record.reason, record.help)
            elif names is None:
                names = [(cell or "").strip() for cell in record.cells]
            else:
                yield self._csv_row(record.line, names, record.cells)

    def _csv_row(self, line: int, names: list[str], cells: list[str | None]) -> Row:
        """Read each cell by the type of its input; an empty one is not given."""
        values: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            spec = self._specs.get(name)
            if not cell:
                continue
            try:
                values[name] = cell if spec is None else parse_input_text(spec, cell)
            except ValueError as error:
                hide = Redactor({name: cell} if spec is not None and spec.secret else {}, "hidden")
                said = hide.text(str(error).removeprefix("it "))
                return self._bad_line(
                    line, f"is wrong: `{name}` {said}", "write the value as its input's type asks for"
                )
        return values

    def _lines(self) -> Iterator[str | BadRecord]:
        yield from self._begun
        yield from self._read()

    def _read(self) -> Iterator[str | BadRecord]:
        while line := self._next():
            self._line += 1
            if len(line) == MOST_LINE and not line.endswith("\n"):
                while line and not line.endswith("\n"):
                    line = self._next()
                limit = f"{MOST_LINE // (1024 * 1024)} Mi characters"
                yield BadRecord(self._line, f"is longer than {limit}", "put large data into files that a step reads")
            elif is_damaged(line):
                wrong = undecodable(self._file.encoding)
                yield BadRecord(self._line, str(wrong).replace("it is", "is", 1), f"{wrong.help}, with `--encoding`")
            else:
                yield line

    def _next(self) -> str:
        try:
            return self._file.readline(MOST_LINE)
        except UnicodeError as error:
            wrong = undecodable(self._file.encoding)
            raise InputError(
                f"{self._name} cannot be read: {wrong}", help=f"{wrong.help}, with `--encoding`"
            ) from error

    def _bad_line(self, line: int, problem: str, help: str) -> InputError:
        return InputError(f"line {line} of {self._name} {problem}", help=help)


@contextmanager
def open_rows(
    source: Path,
    specs: Mapping[str, InputSpec],
    shared: Mapping[str, Any],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Iterator[Rows]:
    """Open a file of rows, `-` for stdin: CSV by its name (`.csv`, `.tsv`) or with a delimiter, else JSON Lines.

    `shared` are inputs that every row has unless it gives them itself.

    Raises:
        InputError: It cannot be opened, or the delimiter or encoding cannot be used.
    """
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if delimiter is not None and (problem := delimiter_problem(delimiter)) is not None:
        raise InputError(problem, help="for example `--delimiter ';'`")
    if str(source) == "-":
        with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as stdin:
            yield Rows(stdin, "stdin", specs, shared, csv=delimiter is not None, delimiter=delimiter, encoding=encoding)
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise InputError(
            f"the rows cannot be read from `{source}`: {(error.strerror or str(error)).lower()}",
            help="give a file of JSON Lines or CSV, or `-` for JSON Lines on stdin",
        ) from error
    ending = source.suffix.lower()
    with file:
        yield Rows(
            file,
            f"`{source}`",
            specs,
            shared,
            csv=ending in _CSV or delimiter is not None,
            delimiter=delimiter or _CSV.get(ending),
            encoding=encoding,
        )

"""Delimited text by RFC 4180, read line by line: cells have no size limit, and a bad record does not hide others.

The reader of the standard library has one cell limit for the whole process and, before Python 3.12, does not
distinguish an empty cell from an empty string; Polars reads blank lines as rows. See docs/decisions/0026-csv.md.
"""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from msgspec import Struct

from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_RECORD: Final = 64 * 1024 * 1024
"""The maximum length of a record."""

DELIMITERS: Final = (",", ";", "\t", "|")
"""The delimiters that are tried, in order, if none is given."""

ColumnType = Literal["string", "integer", "number", "boolean"]
"""The types that the cells of a column can be converted to."""

_SAMPLE: Final = 20
_Line = TypeVar("_Line", bound="str | BadRecord")
_QUOTED: Final = re.compile(r'((?:[^"]+|"")*+)"')


class Record(NamedTuple):
    """The cells of one record, which starts in `line`; None is an empty cell without quotes."""

    line: int
    cells: list[str | None]


class BadRecord(Struct, frozen=True):
    """A record that cannot be read, with the reason and the fix."""

    line: int
    reason: str
    help: str


def csv_table(lines: Iterable[str | BadRecord], delimiter: str) -> Iterator[Record | BadRecord]:
    """Yield the record of column names, then those of rows, with the same number of cells. Blank lines are ignored.

    Nothing follows invalid column names. A bad record in `lines` is yielded.
    """
    names: list[str | None] | None = None
    for record in records(lines, delimiter):
        if isinstance(record, BadRecord):
            yield record
        elif names is None:
            names = record.cells
            twice = next((name for number, name in enumerate(names) if name in names[:number]), "")
            if twice != "":
                reason = f"names the column `{twice}` twice" if twice else "leaves the names of two columns empty"
                yield BadRecord(record.line, reason, "give every column a unique name")
                return
            yield record
        elif len(record.cells) != len(names):
            yield BadRecord(
                record.line,
                f"has {plural(len(record.cells), 'cell')}, and the first line names {plural(len(names), 'column')}",
                f"put a value that has {delimiter_name(delimiter)} in it between quotes; "
                "if another character separates the cells, name it as the delimiter",
            )
        else:
            yield record


def records(lines: Iterable[str | BadRecord], delimiter: str) -> Iterator[Record | BadRecord]:
    """Yield the records of lines with line breaks. Blank lines are ignored."""
    cells: list[str | None] = []
    parts: list[str] = []  # of the quoted cell that is still open
    line_number = begun = size = 0
    for line in lines:
        line_number += 1
        if isinstance(line, BadRecord):
            yield line
            continue
        end = len(line.rstrip("\r\n"))
        if parts:
            size += len(line)
            closed = _QUOTED.match(line)
            if closed is None and size <= MAX_RECORD:
                parts.append(line)
                continue
            if closed is None:
                parts = []
                yield _never_closed(begun, f"{MAX_RECORD // (1024 * 1024)} MiB further on")
                continue
            parts.append(closed[1])
            cells.append("".join(parts).replace('""', '"'))
            parts, position = [], closed.end()
        elif end == 0:
            continue
        elif '"' not in line:
            plain: list[str | None] = line[:end].split(delimiter)  # type: ignore[assignment]  # some are put out below
            yield Record(line_number, [cell or None for cell in plain] if "" in plain else plain)
            continue
        else:
            cells, begun, position = [], line_number, -1
        left = _scan(line, position, end, delimiter, cells)
        if left is None:
            yield Record(begun, cells)
        elif left < 0:
            yield BadRecord(begun, "has text after a closing quote", 'write quotes within quotes twice: "a ""b"" c"')
        else:
            parts, size = [line[left:]], len(line)
    if parts:
        yield _never_closed(begun, "at the end of the file")


def _scan(line: str, position: int, end: int, delimiter: str, cells: list[str | None]) -> int | None:
    """Read the cells of a line after the end of one (-1: from the start).

    Return None if the record ends with the line, the start of a quoted cell that continues in the next line, or -1 if
    text follows a closing quote.
    """
    while position < end:
        if position >= 0 and line[position] != delimiter:
            return -1
        position += 1
        if line.startswith('"', position, end):
            closed = _QUOTED.match(line, position + 1)
            if closed is None:
                return position + 1
            cells.append(closed[1].replace('""', '"'))
            position = closed.end()
        else:
            found = line.find(delimiter, position, end)
            stop = end if found < 0 else found
            cells.append(line[position:stop] or None)
            position = stop
    return None


def _never_closed(line: int, where: str) -> BadRecord:
    return BadRecord(line, f"opens a quote that is not closed {where}", 'write quotes within quotes twice: "a ""b"" c"')


def delimited(lines: Iterable[_Line], named: str | None) -> tuple[str, Iterator[_Line]]:
    """Return the delimiter, and the lines: the given one, else one that splits the first records evenly."""
    if named is not None:
        return named, iter(lines)
    rest = iter(lines)
    sample = list(islice(rest, _SAMPLE))
    for delimiter in DELIMITERS:
        lengths = {len(record.cells) for record in records(sample, delimiter) if isinstance(record, Record)}
        if len(lengths) == 1 and lengths != {1}:
            return delimiter, chain(sample, rest)
    return ",", chain(sample, rest)


def csv_of(names: Sequence[str], rows: Iterable[Mapping[str, Any]], delimiter: str) -> str:
    """Return rows of texts, numbers, booleans and nulls as CSV that reads back as the same."""
    lone = len(names) == 1  # the line of an empty cell alone would be blank, and no record
    lines = [delimiter.join(_cell(name, delimiter, lone=lone) for name in names)]
    lines += [delimiter.join(_cell(row.get(name), delimiter, lone=lone) for name in names) for row in rows]
    return "\n".join([*lines, ""]) if names else ""


def _cell(value: Any, delimiter: str, *, lone: bool) -> str:
    if value is None:
        return '""' if lone else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if value and delimiter not in value and not _SPECIAL.search(value):
        return value
    return '"' + value.replace('"', '""') + '"'


_SPECIAL: Final = re.compile('["\r\n]')


def delimiter_problem(delimiter: str) -> str | None:
    """Return why a delimiter is invalid, or None if it is valid."""
    if len(delimiter) == 1 and delimiter not in '"\r\n':
        return None
    return f"a delimiter is one character, and not a quote or a line break; `{delimiter}` is not"


def delimiter_name(delimiter: str) -> str:
    """Return a delimiter as a message names it."""
    return _NAMES.get(delimiter, f"`{delimiter}`")


_NAMES: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}

"""What a loop goes through, and the values that come of it: neither is held in memory when there is much of it."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.compiler.plan import FileItems, RangeItems
from orchestrator.errors import PermissionDenied, StepError
from orchestrator.language.values import shown
from orchestrator.tools.contract import Refusal
from orchestrator.tools.paths import open_location, status_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.compiler.plan import ForEach
    from orchestrator.expressions import Scope
    from orchestrator.journal import ItemEnds
    from orchestrator.journal.recorded import ItemState
    from orchestrator.tools import Permissions
    from orchestrator.tools.paths import Location

KEPT = 1_000_000
"""Characters of JSON: a loop whose values are longer reads them from the journal when they are asked for."""

MOST_LINE = 64 * 1024 * 1024
"""Characters of the longest line of a file of items."""

_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


class ItemValues:
    """The values of the items of a loop that have ended, in their order.

    They are kept while they are few. Otherwise only the numbers of the events that hold them are, and `load` reads
    those events' outputs; `value_of` makes the item's value of an output.
    """

    def __init__(
        self, ends: ItemEnds, load: Callable[[Sequence[int]], list[Any]], value_of: Callable[[Any], Any]
    ) -> None:
        self.ends = ends
        self._load = load
        self._value_of = value_of
        self._kept: dict[int, Any] | None = None if len(ends) else {}
        self._size = 0

    def __len__(self) -> int:
        return len(self.ends)

    def add(self, index: int, state: ItemState, seq: int, output: Any, size: int) -> None:
        """Take the output of an item that has ended, recorded by the event `seq` in `size` characters."""
        self.ends.set(index, state, seq)
        if self._kept is None:
            return
        self._size += size
        if self._size > KEPT:
            self._kept = None
        else:
            self._kept[index] = self._value_of(output) if state == "succeeded" else output

    def values(self) -> list[Any]:
        """All values, in the order of the items; those of items that have not ended are left out."""
        indexes = list(self.ends)
        if self._kept is not None:
            return [self._kept[index] for index in indexes]
        outputs = self._load([self.ends.seq(index) for index in indexes])
        pairs = zip(indexes, outputs, strict=True)
        return [self._value_of(output) if self.ends.state(i) == "succeeded" else output for i, output in pairs]


@dataclass(frozen=True, slots=True)
class Items:
    """What a loop goes through: how many there are, if that is known; `mark` tells a file from what it was before."""

    rows: Generator[Any, None, None]
    count: int | None = None
    mark: str | None = None


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
                    f"the file of a loop is named by text, not by {shown(path)}", code="ORC713", retryable=False
                )
            return _file_items(directory / path, file.format, permissions)
        case RangeItems() as limits:
            bounds: list[Any] = [value.evaluate(scope) for value in (limits.start, limits.stop, limits.step)]
            if not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
                raise StepError(
                    f"a range is made of integers, not of {', '.join(map(shown, bounds))}",
                    code="ORC713",
                    help="convert them with `| int`; the third, the step, is not 0",
                    retryable=False,
                )
            numbers = range(*bounds)
            count = max(0, -((bounds[0] - bounds[1]) // bounds[2]))  # len() takes no number this large
            return Items((number for number in numbers), count)
        case value:
            found = value.evaluate(scope)
            if isinstance(found, Mapping):
                return Items(({"key": key, "value": item} for key, item in found.items()), len(found))
            if isinstance(found, list):
                return Items((item for item in found), len(found))
            raise StepError(
                f"`for_each` goes through a list, an object or a range, and this is {shown(found)}",
                code="ORC713",
                help="make a list of it, for example with `| list` or `| default([], true)`",
                retryable=False,
            )


def _file_items(path: Path, format: str | None, permissions: Permissions) -> Items:
    place = permissions.locate(path)
    if isinstance(place, Refusal):
        raise PermissionDenied(place.message, flag=place.flag, help=place.help)
    try:
        state = status_of(place)
    except OSError as error:
        raise _unreadable(path, error) from error
    if state is None:
        raise _unreadable(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for, a device has no end
        raise StepError(
            f"the items cannot be read from `{path}`: it is no regular file",
            code="ORC714",
            help="write what it holds to a file first",
            retryable=False,
        )
    format = format or _FORMATS.get(path.suffix.lower(), "text")
    return Items(_rows(place, path, format), None, f"{state.st_size}:{state.st_mtime_ns}")


def _unreadable(path: Path, error: OSError) -> StepError:
    reason = error.strerror.lower() if error.strerror else "it cannot be opened"
    return StepError(
        f"the items cannot be read from `{path}`: {reason}",
        code="ORC714",
        help="check the path; relative paths start at the working directory",
    )


def _rows(place: Location, path: Path, format: str) -> Generator[Any, None, None]:
    try:
        file = os.fdopen(open_location(place, os.O_RDONLY), encoding="utf-8-sig", newline="")
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            if format == "csv":
                reader = csv.DictReader(file, strict=True)
                for row in reader:
                    if None in row or None in row.values():
                        raise _bad_row(path, reader.line_num, "it has another number of columns than the first line")
                    yield dict(row)
                return
            number = 0
            while line := file.readline(MOST_LINE):
                number += 1
                text = line.rstrip("\r\n")
                if format == "text":
                    yield text
                elif text.strip():
                    yield _parsed(text, path, number)
        except UnicodeDecodeError as error:
            raise _bad_row(path, 0, "it is not UTF-8 text") from error
        except csv.Error as error:
            raise _bad_row(path, reader.line_num, str(error)) from error


def _parsed(text: str, path: Path, number: int) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise _bad_row(path, number, f"it is no JSON: {reason} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _bad_row(path, number, f"it is no JSON: {error}") from error


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _bad_row(path: Path, number: int, reason: str) -> StepError:
    where = f"line {number} of `{path}`" if number else f"`{path}`"
    return StepError(
        f"{where} cannot be read: {reason}", code="ORC714", help="mend the file, then go on", retryable=False
    )

"""The items of a loop that are not a value: rows of a file, ranges of integers, combined lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from orchestrator.expressions import Value
from orchestrator.plan.value_text import as_text, expression_text, source_of
from orchestrator.text.csv_text import ColumnType
from orchestrator.text.words import word_list


class FileItems(Struct, frozen=True):
    """The rows of a file, read one after another while the loop runs: objects of JSON, rows of CSV, lines of text.

    Fields that are None are detected from the file.
    """

    path: Value
    format: FileFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    types: Mapping[str, ColumnType] | None = None

    def describe(self) -> str:
        """Describe where the items come from."""
        return f"of {as_text(source_of(self.path))}"


FileFormat = Literal["jsonl", "csv", "text"]


FILE_FORMATS: Mapping[str, FileFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
"""The format of a file of items by the extension of its name; the default is text."""


class RangeItems(Struct, frozen=True):
    """The integers from `start` to below `stop` in steps of `step`; never held as a list."""

    start: Value
    stop: Value
    step: Value

    def describe(self) -> str:
        """Describe where the items come from."""
        first, end, by = (expression_text(source_of(value)) for value in (self.start, self.stop, self.step))
        return f"from {first} to below {end}" + (f" by {by}" if by != "1" else "")


class MatrixItems(Struct, frozen=True):
    """Every combination of the items of some lists, each an object with the names of the lists; never held as a list.

    The last list varies fastest. `exclude` are objects: combinations that have all fields of one of them are left out.
    `include` are further items.
    """

    lists: Mapping[str, Value]
    exclude: Value | None = None
    include: Value | None = None

    def describe(self) -> str:
        """Describe where the items come from."""
        return f"of the combinations of {word_list(self.lists)}"


class ZippedItems(Struct, frozen=True):
    """The items of some lists of the same length, taken together: each an object with the names of the lists."""

    lists: Mapping[str, Value]

    def describe(self) -> str:
        """Describe where the items come from."""
        return f"of {word_list(self.lists)} together"


CombinedItems = MatrixItems | ZippedItems
"""Items that are made of several lists."""

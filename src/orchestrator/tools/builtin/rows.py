"""Rows as a parameter of the built-in tools: a list of objects, or the path of a file."""

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.remedies import InstallExtra
from orchestrator.tools.builtin.filesystem import read_bytes
from orchestrator.tools.builtin.stored import read_stored
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.storage.addresses import is_address
from orchestrator.tools.tables.results import Row

if TYPE_CHECKING:
    from orchestrator.tools.tables.files import RowsLayout

Rows = Annotated[
    list[Row] | str, "The rows: a list of objects, or the path or address of a CSV, JSON, JSONL or Parquet file."
]

_MAX_BYTES = 500_000_000


def load_rows(
    rows: list[Row] | str, context: ToolContext, format: str | None = None, layout: "RowsLayout | None" = None
) -> list[Row]:
    """Return rows, read from a file if `rows` is a path.

    Raises:
        StepError: The file cannot be read, or the extra `data`, which reads it, is not installed.
    """
    if isinstance(rows, list):
        return rows
    from orchestrator.text.csv_text import delimiter_name

    try:
        from orchestrator.tools.tables.files import RowsLayout, parse_rows
    except ModuleNotFoundError as error:
        message = "reading rows from a file requires `data`, which is not installed"
        remedies = [InstallExtra("data")]
        raise StepError(message, code=codes.EXTRA_MISSING, remedies=remedies, retryable=False) from error

    kind = rows_format(rows, format)
    data = read_stored(context, rows, _MAX_BYTES)[0] if is_address(rows) else read_bytes(context, rows, _MAX_BYTES)
    found, guessed = parse_rows(data, kind, rows, layout or RowsLayout())
    if guessed is not None:
        given = json.dumps(guessed)
        context.log(
            f"`{rows}` was read with {delimiter_name(guessed)} as its delimiter; to make it explicit, "
            f"set `delimiter: {given}`"
        )
    return found


def rows_format(path: str, format: str | None) -> str:
    """Return the format of a file of rows: the given one, or else the one that its name shows.

    Raises:
        StepError: No format is given, and the name shows none.
    """
    from orchestrator.tools.tables.files import FORMATS
    from orchestrator.tools.tables.invalid_data import bad_data

    found = format or FORMATS.get(PurePath(path).suffix.lower())
    if found is None:
        raise bad_data(
            f"cannot derive the format from the name `{path}`", f"set `format`: {', '.join(FORMATS.values())}"
        )
    return found

"""Read, write and convert files of rows."""

from typing import Annotated, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.content import encoding_problem
from orchestrator.text.csv_text import ColumnType, delimiter_problem
from orchestrator.tools.builtin.access import Mode, file_errors, file_mode, permitted_location
from orchestrator.tools.builtin.data.parameters import EXTRA, table_of
from orchestrator.tools.builtin.filesystem import write_bytes
from orchestrator.tools.builtin.rows import Rows, load_rows, rows_format
from orchestrator.tools.builtin.stored import checks_sources, write_stored
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.storage.addresses import is_address
from orchestrator.tools.tables.results import ConvertedTable, Row, RowTable, WrittenTable

Format = Annotated[Literal["csv", "tsv", "json", "jsonl", "parquet"] | None, "The format; default: by the file name."]


def _check_delimiter(delimiter: str) -> None:
    if delimiter and (problem := delimiter_problem(delimiter)) is not None:
        raise StepError(problem, code=codes.INVALID_TOOL_INPUT, help='for example `delimiter: ";"`', retryable=False)


def _check_encoding(encoding: str) -> None:
    if (problem := encoding_problem(encoding)) is not None:
        raise StepError(problem, code=codes.INVALID_TOOL_INPUT, retryable=False)


Delimiter = Annotated[
    str | None,
    "The CSV delimiter; default: a comma, or the one detected in the first lines.",
    Checked(_check_delimiter),
]


@tool(name="read", primary="rows", requires=EXTRA, refusal=checks_sources(path="read"), reads=("path",))
def read_rows(
    path: Annotated[str, "The file, or the address of an object, such as `s3://bucket/sales.csv`."],
    context: ToolContext,
    format: Format = None,
    columns: Annotated[list[str] | None, "The columns to keep; default: all."] = None,
    delimiter: Delimiter = None,
    encoding: Annotated[
        str | None,
        "The text encoding, such as `windows-1252`; default: UTF-8, or UTF-16 with a byte order mark.",
        Checked(_check_encoding),
    ] = None,
    types: Annotated[dict[str, ColumnType] | None, "The types of CSV columns, by name."] = None,
) -> RowTable:
    """Read a file of rows. A CSV column becomes numbers or booleans only if that loses nothing: `007` stays text.

    So do `1E5`, integers of more than 18 digits, and decimal numbers with more digits than a float keeps; `1.50` is a
    number if the whole column has two decimals. `types` overrides this. An empty cell is null, `""` an empty string.

    Example:
        - id: sales
          tool: data
          action: read
          parameters:
            path: sales.csv
    """
    from orchestrator.tools.tables.files import RowsLayout, require_columns

    rows = load_rows(path, context, format, RowsLayout(encoding, delimiter, types))
    if columns is not None:
        require_columns(rows, columns)
        rows = [{name: row.get(name) for name in columns} for row in rows]
    return table_of(rows)


@tool(name="write", primary="path", requires=EXTRA, refusal=checks_sources(rows="read", path="write"), reads=("rows",))
def write_rows(
    rows: Rows,
    path: Annotated[str, "The path of the file to write, or the address of an object."],
    context: ToolContext,
    format: Format = None,
    mode: Mode = None,
    delimiter: Annotated[str | None, "The CSV delimiter; default: a comma.", Checked(_check_delimiter)] = None,
) -> WrittenTable:
    """Write rows to a file, replacing it atomically.

    Example:
        - id: save
          tool: data
          action: write
          parameters:
            rows: "{{ totals }}"
            path: output/totals.csv
    """
    from orchestrator.tools.tables.files import dump_rows

    table = load_rows(rows, context)
    data = dump_rows(table, rows_format(path, format), delimiter)
    if is_address(path):
        if mode is not None:
            message = f"`{path}` is an object of a store, which has no file mode"
            raise StepError(message, code=codes.INVALID_TOOL_INPUT, help="remove `mode`", retryable=False)
        write_stored(context, path, data)
        return {"path": path, "count": len(table), "size": len(data)}
    place = permitted_location(context, path, "write")
    with file_errors("write", path):
        write_bytes(place, data, mode=file_mode(mode))
    context.wrote(place.path)
    return {"path": path, "count": len(table), "size": len(data)}


@tool(name="convert", primary="text", requires=EXTRA)
def convert_rows(
    data: Annotated[list[Row] | str, "The rows: a list of objects, or a text in one of the formats."],
    to: Annotated[Literal["csv", "tsv", "json", "jsonl"], "The new format."] = "json",
    format: Annotated[
        Literal["csv", "tsv", "json", "jsonl"] | None, "The format of the text; default: by its first character."
    ] = None,
    delimiter: Delimiter = None,
    types: Annotated[dict[str, ColumnType] | None, "The types of CSV columns, by name."] = None,
) -> ConvertedTable:
    """Convert rows, or a text of rows, to a text in another format. Columns of CSV are read as by `data.read`.

    To convert a file, write its rows to a file with another suffix: `data.write`.

    Example:
        - id: listed
          tool: data
          action: convert
          parameters:
            data: "{{ page }}"
            format: csv
            to: json
    """
    from orchestrator.tools.tables.files import RowsLayout, dump_rows, parse_rows

    if isinstance(data, str):
        start = data.lstrip("\ufeff \t\r\n")[:1]
        found = format or {"[": "json", "{": "jsonl"}.get(start, "csv")
        rows, _ = parse_rows(data.encode(), found, "data", RowsLayout(None, delimiter, types))
    else:
        rows = data
    return {"text": dump_rows(rows, to).decode(), **table_of(rows)}

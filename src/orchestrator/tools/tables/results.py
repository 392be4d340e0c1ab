"""The results of tools that return rows."""

from typing import Annotated, Any, TypedDict

Row = dict[str, Any]


class RowTable(TypedDict):
    """Rows as a list of objects, the column names, and the number of rows."""

    rows: Annotated[list[Row], "The rows, as a list of objects."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]


class WrittenTable(TypedDict):
    """The file that was written, the number of rows, and the size in bytes."""

    path: Annotated[str, "The path of the written file, as given."]
    count: Annotated[int, "The number of rows."]
    size: Annotated[int, "The size of the file in bytes."]


class ConvertedTable(TypedDict):
    """The rows as a text in the new format, and as data."""

    text: Annotated[str, "The rows in the new format."]
    rows: Annotated[list[Row], "The rows, as a list of objects."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]

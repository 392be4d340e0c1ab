"""Read, write, check and transform tables. Rows are a list of objects, or the path of a file."""

from orchestrator.tools.builtin.data.quality import profile, validate
from orchestrator.tools.builtin.data.queries import aggregate, deduplicate, filter_rows, select_columns, sort, sql
from orchestrator.tools.builtin.data.shapes import join, pivot, unpivot
from orchestrator.tools.builtin.data.table_files import convert_rows, read_rows, write_rows
from orchestrator.tools.builtin.data.windows import sample, window

__all__ = [
    "aggregate",
    "convert_rows",
    "deduplicate",
    "filter_rows",
    "join",
    "pivot",
    "profile",
    "read_rows",
    "sample",
    "select_columns",
    "sort",
    "sql",
    "unpivot",
    "validate",
    "window",
    "write_rows",
]

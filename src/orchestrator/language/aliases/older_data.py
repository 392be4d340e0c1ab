"""The tool of the older dialect that processes data: its actions on rows, and the names that it has for files."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named

PATH: Final = named("path", "file", "file_path", "filepath", "filename", "file_name")
WRITTEN: Final = named(
    *("path", "filepath", "file_path", "filename", "output_path", "output_file", "report_path", "saved_path")
)
SOURCE: Final = {**PATH, **named("path", "source", "source_path", "src", "from")}
_ROWS: Final = {
    **named("rows", "data", "input", "input_data", "dataset", "source", "file", "path"),
    **named("rows", "file_path", "filepath", "input_path", "input_file"),
}
_DATA: Final = named("rows", "processed_data", "data", "records", "output_data")
_LOADED: Final = OlderCall("data.read", ("load", "read", "import"), parameters=SOURCE, results=_DATA)
_SAVED: Final = OlderCall(
    "data.write",
    ("save", "write", "export"),
    parameters={**named("rows", "data", "input", "records"), **PATH, **named("path", "output_path", "output_file")},
    results={**WRITTEN, "total": "count"},
)
_FILTERED: Final = OlderCall(
    "data.filter",
    ("filter",),
    parameters={**_ROWS, **named("where", "condition", "filter", "query", "expression")},
    results={**_DATA, "total": "count"},
    instead={"conditions": "write the condition as SQL: `where: amount > 100 AND region = 'west'`"},
)
_SORTED: Final = OlderCall(
    "data.sort",
    ("sort",),
    parameters={**_ROWS, **named("by", "sort_by", "key", "column"), **named("descending", "reverse")},
    results={**_DATA, "total": "count"},
)
_GROUPED: Final = OlderCall(
    "data.aggregate",
    ("aggregate", "group", "group_by"),
    parameters={**_ROWS, **named("by", "group_by", "groupby")},
    results={**_DATA, "total": "count"},
    instead=dict.fromkeys(
        ("aggregations", "aggregation", "metrics", "functions"),
        "write the new columns as `values`, each with an SQL aggregate: `values: {total: SUM(amount)}`",
    ),
)
_CONVERTED: Final = OlderCall(
    "data.write",
    ("convert",),
    parameters={
        **named("rows", "input_path", "input_file", "source", "file", "data"),
        **named("path", "output_path", "output_file", "destination", "target"),
        **named("format", "output_format", "to", "to_format", "target_format"),
    },
    results={**WRITTEN, "total": "count"},
    when={"path": (...,)},
    ignored={"input_format": ("csv", "json", "jsonl", "parquet", "auto")},
)
_CONVERTED_TEXT: Final = OlderCall(
    "data.convert",
    ("convert",),
    parameters={
        **named("data", "input", "input_data", "content", "text", "source"),
        **named("to", "format", "output_format", "to_format", "target_format"),
        **named("format", "input_format", "from", "from_format", "source_format"),
        **named("path", "output_path", "output_file", "destination", "target"),
        **named("rows", "input_path", "input_file", "file"),
    },
    results={**named("rows", "processed_data", "data", "records", "output_data", "result"), "total": "count"},
    ignored={"format": ("auto",)},
    when={"path": (None,), "rows": (None,), "to": (None, "json", "jsonl")},
)
_CONVERTED_ROWS: Final = replace(
    _CONVERTED_TEXT,
    results={**named("text", "processed_data", "data", "output_data"), "total": "count"},
    when={"path": (None,), "rows": (None,), "to": ("csv", "tsv")},
)
_MERGED: Final = OlderCall(
    "data.join",
    ("join", "merge"),
    parameters={
        **named("left", "left_data", "data1"),
        **named("right", "right_data", "data2"),
        **named("on", "key", "join_key"),
        **named("how", "join_type", "type"),
    },
    results={**_DATA, "total": "count"},
)
_CHOSEN: Final = OlderCall(
    "data.select",
    ("select", "map", "rename", "select_columns", "project"),
    parameters={**_ROWS, **named("columns", "fields", "mapping", "mappings")},
    results={**_DATA, "total": "count"},
)
_DEDUPLICATED: Final = OlderCall(
    "data.deduplicate",
    ("deduplicate", "drop_duplicates", "remove_duplicates", "unique"),
    parameters={**_ROWS, **named("by", "subset", "key", "columns", "key_columns", "keys")},
    results={**_DATA, "total": "count"},
)
_PIVOTED: Final = OlderCall("data.pivot", ("pivot",), parameters=_ROWS, results={**_DATA, "total": "count"})
_PROFILED: Final = OlderCall(
    "data.profile",
    ("profile", "describe", "statistics", "analyze"),
    parameters=_ROWS,
)
PROCESSED: Final = (
    _PROFILED,
    _CHOSEN,
    _DEDUPLICATED,
    _PIVOTED,
    _LOADED,
    _SAVED,
    _FILTERED,
    _SORTED,
    _GROUPED,
    _CONVERTED,
    _CONVERTED_TEXT,
    _CONVERTED_ROWS,
    _MERGED,
)

"""The tools and actions of the older dialect, as data: what each name means here, with its parameters and results.

A name that is not here, or an action without an equivalent, is refused by the compiler, which suggests what to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named
from orchestrator.language.aliases.older_memory import MEMORY
from orchestrator.language.aliases.older_model_calls import (
    ANALYSES,
    HEARD,
    IMPROVED,
    ROUTED,
    SEEN,
    STRUCTURED,
    TEXT,
    WATCHED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH: Final = named("path", "file", "file_path", "filepath", "filename", "file_name")
_WRITTEN: Final = named("path", "filepath", "file_path", "filename", "output_path", "output_file")
_SOURCE: Final = {**_PATH, **named("path", "source", "source_path", "src", "from")}
_TARGET: Final = named("destination", "dest", "target", "to", "destination_path", "target_path", "new_path")

_MOVED: Final = named("destination", "filepath", "file_path", "new_path", "destination_path")

_ROWS: Final = {
    **named("rows", "data", "input", "input_data", "dataset", "source", "file", "path"),
    **named("rows", "file_path", "filepath", "input_path", "input_file"),
}
_DATA: Final = named("rows", "processed_data", "data", "records", "output_data")
_QUESTION: Final = {
    **named("prompt", "message", "question", "text", "title"),
    **named("choices", "options"),
    **named("type", "input_type", "response_type"),
    **named("default", "default_value"),
    **named("pattern", "validation_pattern"),
}
_ANSWER: Final = named("", "value", "response", "answer", "input", "user_input", "choice", "selection", "selected")
_ASKED: Final = OlderCall(
    "ask",
    ("", "prompt", "ask", "ask_user", "input", "collect", "request", "confirm", "choice"),
    parameters=_QUESTION,
    results=_ANSWER,
    ignored={"required": (True,), "type": ("choice", "select", "multiline", "any")},
    without_effect={"multiline": "an answer of `type: string` can have several lines"},
    told=dict.fromkeys(("context", "description"), "prompt"),
    instead={
        "questions": "write them in one step, `ask: {questions: {score: {prompt: ..., type: integer}, name: ...}}`",
    },
)
_APPROVED: Final = OlderCall(
    "approve",
    ("", "approve", "request", "request_approval", "review", "prompt", "gate"),
    parameters={
        **named("title", "message", "prompt", "question"),
        **named("content", "data", "details", "description", "context", "items"),
        **named("allow_editing", "allow_modifications", "allow_edit", "allow_modification", "editable"),
        **named("default", "auto_approve_on_timeout"),
    },
    results={
        **named("comment", "reason", "feedback", "comments", "rejection_reason"),
        **named("content", "modified_content", "approved_content", "final_content"),
    },
    ignored={"require_reason": (False,), "require_comment": (False,), "format": ("text", "markdown", "json")},
    without_effect=dict.fromkeys(
        ("require_reason", "require_comment"), "the person who decides can always write a comment"
    ),
    instead={
        "approvers": "write who is notified below `notify:` of the file; the server decides who may answer",
        "options": "remove it: an approval has the answers yes and no; for others, write `ask: {choices: [...]}`",
    },
)
_CALLED: Final = OlderCall(
    "pipeline",
    ("", "execute", "run", "call", "execute_pipeline", "run_pipeline"),
    parameters={
        **named("pipeline", "pipeline_path", "pipeline_file", "file", "path", "pipeline_id"),
        **named("inputs", "input", "parameters", "params", "input_mapping", "context"),
        **named("max_depth", "max_recursion_depth", "recursion_limit"),
    },
    ignored={
        "wait_for_completion": (True,),
        "wait": (True,),
        "async": (False,),
        "inherit_context": (False,),
        "error_handling": ("fail", "stop"),
    },
    instead={
        "wait_for_completion": "write `detach: true` in the step: the pipeline becomes a run of its own",
        "inherit_context": "write the values that the pipeline needs below `inputs:`",
        "error_handling": "write `on_failure: continue` or `retry:` in the step",
        "retry_strategy": "write `retry:` in the step",
    },
)

_OLDER_FILES: Final = (
    OlderCall(
        "filesystem.read",
        ("read_file", "load", "load_file", "read_text"),
        parameters=_PATH,
        results={**_WRITTEN, **named("content", "data", "text"), "file_size": "size"},
    ),
    OlderCall(
        "filesystem.write",
        ("write_file", "save", "save_file", "write_text", "create_file"),
        parameters={**_PATH, **named("content", "data", "text", "contents")},
        results={**_WRITTEN, "file_size": "size"},
        ignored={"create_dirs": (True,), "create_directories": (True,), "mkdir": (True,)},
    ),
    OlderCall(
        "filesystem.append",
        ("append_file", "append_text"),
        parameters={**_PATH, **named("content", "data", "text")},
        results={**_WRITTEN, "file_size": "size"},
    ),
    OlderCall(
        "filesystem.list",
        ("list_files", "list_dir", "list_directory"),
        parameters=named("path", "directory", "dir", "folder"),
        results={**named("entries", "files", "items"), "total": "count"},
        when={"pattern": (None,)},
    ),
    OlderCall(
        "filesystem.glob",
        ("list_files", "find_files", "search_files"),
        parameters=named("path", "directory", "dir", "folder"),
        results={**named("paths", "files", "matches", "items"), "total": "count"},
        when={"pattern": (...,)},
    ),
    OlderCall("filesystem.delete", ("delete_file", "remove", "remove_file"), parameters=_PATH, results=_WRITTEN),
    OlderCall("filesystem.copy", ("copy_file",), parameters={**_SOURCE, **_TARGET}, results=_MOVED),
    OlderCall("filesystem.move", ("move_file", "rename"), parameters={**_SOURCE, **_TARGET}, results=_MOVED),
    OlderCall("filesystem.exists", ("file_exists", "check_exists"), parameters=_PATH, results={"file_size": "size"}),
)

_COMMAND: Final = OlderCall(
    "terminal.execute",
    ("execute_command", "run_command", "run", "command", "shell"),
    parameters={
        **named("command", "cmd", "shell_command"),
        **named("cwd", "working_dir", "working_directory", "workdir", "directory"),
        **named("env", "environment", "env_vars"),
        **named("stdin", "input"),
    },
    results={
        **named("exit_code", "return_code", "returncode", "status_code"),
        **named("duration", "execution_time"),
    },
    constants={"check": False},
    ignored={"capture_output": (True,), "shell": (True,)},
    instead={"capture_output": "remove it: the output is always recorded"},
)
_EXECUTED: Final = replace(_COMMAND, actions=("", "execute"), constants={}, replaces=True)

_LOADED: Final = OlderCall("data.read", ("load", "read", "import"), parameters=_SOURCE, results=_DATA)
_SAVED: Final = OlderCall(
    "data.write",
    ("save", "write", "export"),
    parameters={**named("rows", "data", "input", "records"), **_PATH, **named("path", "output_path", "output_file")},
    results={**_WRITTEN, "total": "count"},
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
    results={**_WRITTEN, "total": "count"},
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
_PROCESSED: Final = (
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

_VALIDATED: Final = OlderCall(
    "json.validate",
    ("", "validate", "validate_schema", "check", "schema"),
    parameters={**named("data", "input", "value", "content"), **named("schema", "json_schema", "validation_schema")},
    results={**named("valid", "is_valid", "success", "passed"), **named("errors", "validation_errors", "issues")},
    constants={"check": False},
    ignored={"output_format": ("json",)},
    words={
        "mode": {
            **dict.fromkeys(("strict", "fail"), ("check", True)),
            **dict.fromkeys(("lenient", "report", "warn"), ("check", False)),
        },
        "strict": {"true": ("check", True), "false": ("check", False)},
    },
    instead={
        "rules": "write them as a JSON Schema: `schema: {type: object, required: [id], properties: {id: {type: "
        "integer}}}`",
        "mode": "write `check: true` to fail the step if the data do not match, `check: false` to read `valid`",
        "strict": "write `check: true` to fail the step if the data do not match",
    },
)

_PAGE: Final = OlderCall(
    "report.html",
    ("", "generate", "create", "generate_report", "create_report"),
    parameters={**named("markdown", "content", "body", "text", "data"), **_WRITTEN, "report_title": "title"},
    results={**_WRITTEN, **named("html", "report", "content", "output_content")},
    when={"format": ("html",)},
    ignored={"format": ("html",), "report_type": ("html",)},
    headings={"sections": "markdown"},
    instead={"template": "write the text with its templates as `markdown`"},
)
_PDF: Final = OlderCall(
    "report.pdf",
    (*_PAGE.actions, "compile", "compile_pdf", "generate_pdf", "create_pdf", "convert", "execute"),
    parameters={
        **named("markdown", "markdown_content", "content", "body", "text", "input"),
        **_WRITTEN,
        **named("path", "pdf_path", "output"),
        **named("paper", "page_size", "paper_size"),
        **named("contents", "toc", "table_of_contents", "include_toc"),
        "report_title": "title",
    },
    results={**_WRITTEN, **named("path", "pdf_path", "output"), "file_size": "size", "page_count": "pages"},
    ignored={"format": ("pdf",), "report_type": ("pdf",), "install_if_missing": (False,)},
    without_effect={
        "install_if_missing": 'a run installs nothing: what is needed comes with `pip install "pyorchestrator[pdf]"`'
    },
    headings={"sections": "markdown"},
    instead={
        "template": "write the text with its templates as `markdown`, and rules as `css`",
        "engine": "remove it: PDF files are made by WeasyPrint",
    },
)
_PAGE_PDF: Final = replace(_PDF, actions=_PAGE.actions, when={"format": ("pdf",)})
_PAGE_WORD: Final = OlderCall(
    "report.docx",
    _PAGE.actions,
    parameters={**_PAGE.parameters, "markdown_content": "markdown"},
    results={**_WRITTEN, "file_size": "size"},
    when={"format": ("docx", "word")},
    ignored={"format": ("docx", "word"), "report_type": ("docx", "word")},
    headings=_PAGE.headings,
    instead=_PAGE.instead,
)
_PAGE_FILE: Final = OlderCall(
    "filesystem.write",
    _PAGE.actions,
    parameters={**named("content", "markdown", "body", "text"), **_WRITTEN},
    results={**_WRITTEN, "file_size": "size"},
    when={"format": (None, "markdown", "md"), "path": (...,), "template": (None,)},
    ignored={"format": ("markdown", "md")},
    headings=named("content", "title", "sections"),
)
_PAGE_TEXT: Final = OlderCall(
    "text.template",
    _PAGE.actions,
    parameters={
        **named("template", "markdown", "content", "body", "text"),
        **named("values", "data", "variables"),
        **_WRITTEN,
    },
    results=named("", "report", "content", "markdown", "text"),
    when={"format": (None, "markdown", "md"), "path": (None,)},
    ignored={"format": ("markdown", "md")},
    headings=named("template", "title", "sections"),
)

_REMOTE: Final = (
    OlderCall(
        "mcp.call",
        ("execute_tool", "call_tool", "call", "execute", "invoke"),
        parameters={
            **named("server", "server_name"),
            **named("tool", "tool_name"),
            **named("arguments", "tool_params", "tool_args", "tool_parameters", "params", "parameters", "args"),
        },
        results=named("text", "content", "response", "output_text"),
    ),
    OlderCall("mcp.list", ("list_tools", "list"), parameters={"server_name": "server"}, results={}),
)

_FOUND: Final = OlderCall(
    "web.search",
    ("", "search", "web_search", "execute", "query"),
    parameters={
        **named("query", "search_query", "q", "term", "search_term"),
        **named("max_results", "num_results", "limit", "count", "top_k", "results"),
        **named("region", "country", "locale"),
        **named("since", "time_range", "timelimit", "date_range", "freshness"),
        **named("provider", "search_engine", "engine", "backend", "source"),
    },
    results={**named("results", "search_results", "items", "data"), **named("count", "total_results", "total")},
    ignored={"provider": ("duckduckgo", "auto", "default"), "safe_search": ("moderate",), "since": ("any", "all")},
    instead={"backends": "write one `provider`: `ddgs` asks several search engines"},
)

_READ: Final = OlderCall(
    "web.read",
    ("scrape", "extract", "read", "fetch", "browse", "extract_content", "get_content", "navigate"),
    parameters={
        **named("url", "page_url", "link", "address"),
        **named("max_characters", "max_length", "max_content_length"),
    },
    results=named("content", "text", "markdown", "page_content", "extracted_content"),
    ignored={"extract_text": (True,), "extract_links": (True,), "format": ("markdown", "text"), "headless": (True,)},
    instead={
        "selector": "the whole text is read: extract a part of it with a model, `action: extract`",
        "selectors": "the whole text is read: extract parts of it with a model, `action: extract`",
        "javascript": "remove it: scripts of the page do not run",
        "wait_for": "remove it: scripts of the page do not run",
    },
)
_VERIFIED: Final = OlderCall(
    "http.request",
    ("verify", "verify_url", "check_url"),
    parameters=named("url", "page_url", "link", "address"),
    results=named("status_code", "http_status", "response_code"),
    constants={"method": "HEAD", "check": False},
)

_COLUMNS: Final = {
    **named("x", "x_column", "x_axis", "x_field", "x_col"),
    **named("y", "y_column", "y_axis", "y_field", "y_col"),
    **named("color", "color_column", "color_by", "hue", "group_by", "series"),
}
_PLOTTED: Final = ("", "create", "create_chart", "create_charts", "generate", "chart", "draw", "plot", "visualize")
_FIXED_LOOKS: Final = {"theme": ("default", "light"), "interactive": (False,), "style": ("default",)}
_LOOKS: Final = dict.fromkeys(("theme", "style"), "charts have one look: on white, in colors for everyone")
_CHART: Final = OlderCall(
    "chart.draw",
    _PLOTTED,
    parameters={
        **named("rows", "data", "dataset", "input", "input_data"),
        **named("kind", "chart_type", "type", "plot_type"),
        **named("path", "output_path", "output_file", "filename", "file_path", "save_path"),
        **_COLUMNS,
        **named("x_label", "xlabel", "x_title"),
        **named("y_label", "ylabel", "y_title"),
    },
    results=named("path", "filepath", "file_path", "chart", "chart_path", "output_path"),
    when={"kind": (...,), "path": (...,)},
    ignored=_FIXED_LOOKS,
    without_effect=_LOOKS,
    instead={"interactive": "end `path` with `.html`: a page shows values under the pointer"},
)
_CHARTS: Final = OlderCall(
    "chart.overview",
    _PLOTTED,
    parameters={
        **named("rows", "data", "dataset", "input", "input_data"),
        **named("kinds", "chart_types", "types", "charts"),
        **named("directory", "output_dir", "output_directory", "output_folder"),
        **_COLUMNS,
        **named("format", "output_format"),
    },
    results={**named("charts", "files", "chart_files", "chart_paths"), **named("count", "total", "total_charts")},
    when={"kind": (None,), "chart_type": (None,), "path": (None,)},
    ignored=_FIXED_LOOKS,
    without_effect=_LOOKS,
    instead={"interactive": "write `format: html`: a page shows values under the pointer"},
)

OLDER: Final[Mapping[str, tuple[OlderCall, ...]]] = {
    **dict.fromkeys(("generate_structured", "generate_json"), (STRUCTURED,)),
    **dict.fromkeys(("generate_text", "llm_call", "llm_generate", "generate_content"), (TEXT,)),
    **dict.fromkeys(("analyze_text", "model"), ANALYSES),
    **dict.fromkeys(("web_search", "headless_browser"), (_FOUND, _READ, _VERIFIED)),
    "debug": (
        OlderCall(
            "log.write",
            ("", "print", "log", "debug", "write"),
            parameters=named("message", "msg", "text", "value"),
            results=named("", "message"),
        ),
    ),
    "data_processing": _PROCESSED,
    "data_processor": _PROCESSED,
    "validation": (_VALIDATED,),
    "python_executor": (
        OlderCall(
            "python.execute",
            ("", "execute", "run", "execute_code"),
            parameters={**named("inputs", "variables", "context"), **named("code", "script", "source")},
            results={"output": "stdout", "return_value": "", "error_output": "stderr"},
            ignored={"capture_output": (True,), "sandbox": (True,), "sandboxed": (True,)},
        ),
    ),
    "terminal": (_COMMAND, _EXECUTED),
    "filesystem": _OLDER_FILES,
    "pipeline_executor": (_CALLED,),
    "user_prompt": (_ASKED,),
    "approval_gate": (_APPROVED,),
    "feedback_collection": (_ASKED,),
    "report_generator": (_PAGE, _PAGE_PDF, _PAGE_WORD, _PAGE_FILE, _PAGE_TEXT),
    "pdf_compiler": (_PDF,),
    "image_analysis": (SEEN,),
    "audio_processing": (HEARD,),
    "video_processing": (WATCHED,),
    "mcp_server": _REMOTE,
    "mcp_memory": MEMORY,
    "task_delegation": (ROUTED,),
    "multi_model_routing": (ROUTED,),
    "prompt_optimization": (IMPROVED,),
    "visualization": (_CHART, _CHARTS),
}
"""What the names of tools, and of actions without a tool, mean: in lower case with `_` for `-`.

Of several meanings the first applies whose `actions` and `when` match.
"""

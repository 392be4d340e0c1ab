"""The tools and actions of the older dialect, as data: what each name means here, with its parameters and results.

A name that is not here, or an action without an equivalent, is refused by the compiler, which suggests what to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named
from orchestrator.language.aliases.older_data import PATH, PROCESSED, SOURCE, WRITTEN
from orchestrator.language.aliases.older_memory import MEMORY
from orchestrator.language.aliases.older_model_calls import (
    ANALYSES,
    CLASSIFIED,
    HEARD,
    IMPROVED,
    PAINTED,
    REPAINTED,
    ROUTED,
    SEEN,
    SPOKEN,
    STRUCTURED,
    SUMMARY,
    TEXT,
    TRANSLATED,
    WATCHED,
)
from orchestrator.language.aliases.older_questions import APPROVED, ASKED, FEEDBACK
from orchestrator.language.aliases.older_servers import REMOTE

if TYPE_CHECKING:
    from collections.abc import Mapping

_TARGET: Final = named("destination", "dest", "target", "to", "destination_path", "target_path", "new_path")

_MOVED: Final = named("destination", "filepath", "file_path", "new_path", "destination_path")

_CALLED: Final = OlderCall(
    "pipeline",
    ("", "execute", "run", "call", "execute_pipeline", "run_pipeline"),
    parameters={
        **named("pipeline", "pipeline_path", "pipeline_file", "file", "path", "pipeline_id"),
        **named("inputs", "input", "parameters", "params", "input_mapping", "context"),
        **named("max_depth", "max_recursion_depth", "recursion_limit"),
    },
    computed={"execution_time": "STEP.duration"},
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
        parameters=PATH,
        results={**WRITTEN, **named("content", "data", "text"), "file_size": "size"},
    ),
    OlderCall(
        "filesystem.write",
        ("write_file", "save", "save_file", "write_text", "create_file"),
        parameters={**PATH, **named("content", "data", "text", "contents")},
        results={**WRITTEN, "file_size": "size"},
        ignored={"create_dirs": (True,), "create_directories": (True,), "mkdir": (True,)},
    ),
    OlderCall(
        "filesystem.append",
        ("append_file", "append_text"),
        parameters={**PATH, **named("content", "data", "text")},
        results={**WRITTEN, "file_size": "size"},
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
    OlderCall("filesystem.delete", ("delete_file", "remove", "remove_file"), parameters=PATH, results=WRITTEN),
    OlderCall("filesystem.copy", ("copy_file",), parameters={**SOURCE, **_TARGET}, results=_MOVED),
    OlderCall("filesystem.move", ("move_file", "rename"), parameters={**SOURCE, **_TARGET}, results=_MOVED),
    OlderCall("filesystem.exists", ("file_exists", "check_exists"), parameters=PATH, results={"file_size": "size"}),
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
            **dict.fromkeys(
                ("lenient", "report", "warn", "report_only", "report-only", "permissive"), ("check", False)
            ),
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

_EXTRACTED: Final = OlderCall(
    "model.generate",
    ("extract", "extract_structured", "structure", "parse"),
    parameters={**named("prompt", "text", "data", "input", "content"), **named("schema", "json_schema", "structure")},
    results=named("data", "extracted", "extracted_data", "structured_data", "value"),
    constants={"system": "Extract what the schema describes from the text. Leave out what the text does not say."},
    told=dict.fromkeys(("instructions", "instruction", "examples", "context"), "system"),
    ignored={"mode": ("strict", "lenient")},
)

_PAGE: Final = OlderCall(
    "report.html",
    ("", "generate", "create", "generate_report", "create_report"),
    parameters={
        **named("markdown", "content", "body", "text", "data", "markdown_content"),
        **WRITTEN,
        **named("contents", "toc", "table_of_contents", "include_toc"),
        "report_title": "title",
        "output_format": "format",
    },
    results={**WRITTEN, **named("html", "report", "content", "output_content")},
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
        **WRITTEN,
        **named("path", "pdf_path", "output"),
        **named("paper", "page_size", "paper_size"),
        **named("contents", "toc", "table_of_contents", "include_toc"),
        "report_title": "title",
        "output_format": "format",
    },
    results={**WRITTEN, **named("path", "pdf_path", "output"), "file_size": "size", "page_count": "pages"},
    ignored={"format": ("pdf",), "report_type": ("pdf",), "install_if_missing": (False,)},
    without_effect={
        **dict.fromkeys(("engine", "pdf_engine", "compiler"), "PDF files are made by WeasyPrint"),
        "install_if_missing": 'a run installs nothing: what is needed comes with `pip install "pyorchestrator[pdf]"`',
    },
    headings={"sections": "markdown"},
    instead={
        "template": "write the text with its templates as `markdown`, and rules as `css`",
        **dict.fromkeys(("margin", "margins", "font_size", "font", "template_path"), "write rules as `css`"),
        **dict.fromkeys(
            ("input_file", "markdown_file", "source_file", "input_path"),
            "read the file in a step before, `action: filesystem.read`, and write `markdown` with its content",
        ),
    },
)
_PAGE_PDF: Final = replace(_PDF, actions=_PAGE.actions, when={"format": ("pdf",)})
_PAGE_WORD: Final = OlderCall(
    "report.docx",
    _PAGE.actions,
    parameters={**_PAGE.parameters, "markdown_content": "markdown"},
    results={**WRITTEN, "file_size": "size"},
    when={"format": ("docx", "word")},
    ignored={"format": ("docx", "word"), "report_type": ("docx", "word")},
    headings=_PAGE.headings,
    instead=_PAGE.instead,
)
_NOT_IN_TEXT: Final = dict.fromkeys(
    (
        "include_toc",
        "toc",
        "table_of_contents",
        "theme",
        "include_charts",
        "include_timestamp",
        "include_summary",
        "style",
        "author",
        "include_metadata",
        "report_type",
        "date",
    ),
    "the text is written as it is: write what it should begin with into its `content`",
)
_PAGE_FILE: Final = OlderCall(
    "filesystem.write",
    _PAGE.actions,
    parameters={
        **named("content", "markdown", "body", "text", "markdown_content", "data"),
        **WRITTEN,
        "report_title": "title",
        "output_format": "format",
    },
    results={**WRITTEN, "file_size": "size"},
    when={"format": (None, "markdown", "md"), "path": (...,), "template": (None,)},
    ignored={"format": ("markdown", "md", "text"), "report_type": ("markdown",)},
    headings=named("content", "title", "sections"),
    without_effect=_NOT_IN_TEXT,
)
_PAGE_TEXT: Final = OlderCall(
    "text.template",
    _PAGE.actions,
    parameters={
        **named("template", "markdown", "content", "body", "text", "markdown_content"),
        **named("values", "data", "variables"),
        **WRITTEN,
        "report_title": "title",
        "output_format": "format",
    },
    results=named("", "report", "content", "markdown", "text"),
    when={"format": (None, "markdown", "md"), "path": (None,)},
    ignored={"format": ("markdown", "md", "text"), "report_type": ("markdown",)},
    headings=named("template", "title", "sections"),
    without_effect=_NOT_IN_TEXT,
    computed={"word_count": "(STEP | wordcount)"},
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
    without_effect={
        **dict.fromkeys(("search_type", "type", "category"), "pages of the web are searched"),
        **dict.fromkeys(("language", "lang"), "write the `region` instead, such as `us-en`"),
        **dict.fromkeys(("include_snippets", "include_content", "deduplicate", "sort_by"), "each result has a snippet"),
        "timeout": "write `timeout:` in the step",
    },
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
        **dict.fromkeys(
            ("selector", "selectors"),
            "the whole text is read: for parts of it, write `tool: browser`, `action: visit`, `extract: {part: h1}`",
        ),
        "javascript": "scripts of the page do not run here: write `tool: browser`, `action: visit`, which runs them",
        "wait_for": "write `tool: browser`, `action: visit`, `actions: [{wait_for: SELECTOR}]`",
    },
)
_PICTURED: Final = OlderCall(
    "browser.screenshot",
    ("screenshot", "take_screenshot", "capture", "capture_screenshot"),
    parameters={
        **named("url", "page_url", "link", "address"),
        **WRITTEN,
        **named("path", "save_path", "screenshot_path", "output"),
        **named("of", "selector", "element"),
        **named("full_page", "fullpage", "full"),
        **named("width", "viewport_width", "window_width"),
        **named("height", "viewport_height", "window_height"),
    },
    results={**WRITTEN, **named("path", "screenshot", "screenshot_path", "image_path"), "file_size": "size"},
    ignored={"headless": (True,), "javascript": (True,), "format": ("png",)},
    instead={"wait_for": "write `actions: [{wait_for: SELECTOR}]`", "format": "end `path` with `.png` or `.jpg`"},
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
    without_effect={**_LOOKS, "interactive": "if `path` ends with `.html`, a page shows values under the pointer"},
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
    words={"interactive": {"true": ("format", "html")}},
    without_effect=_LOOKS,
)

_ALONE: Final = ("",)
_LOGGED: Final = OlderCall(
    "log.write",
    ("", "print", "log", "debug", "write"),
    parameters=named("message", "msg", "text", "value"),
    results=named("", "message"),
)
_READ_FILE: Final = replace(_OLDER_FILES[0], actions=_ALONE)
_WRITE_FILE: Final = replace(_OLDER_FILES[1], actions=_ALONE)

OLDER: Final[Mapping[str, tuple[OlderCall, ...]]] = {
    **dict.fromkeys(("read_file", "load_file"), (_READ_FILE,)),
    **dict.fromkeys(("write_file", "save_file", "save_to_file"), (_WRITE_FILE,)),
    **dict.fromkeys(("run_command", "execute_command"), (replace(_COMMAND, actions=_ALONE),)),
    "search_web": (_FOUND,),
    **dict.fromkeys(("validate_data", "validate_schema"), (replace(_VALIDATED, actions=_ALONE),)),
    "summarize": (SUMMARY,),
    "classify": (CLASSIFIED,),
    **dict.fromkeys(("extract_data", "extract_information"), (replace(_EXTRACTED, actions=_ALONE),)),
    **dict.fromkeys(("translate", "translate_text"), (TRANSLATED,)),
    **dict.fromkeys(("echo", "print"), (_LOGGED,)),
    **dict.fromkeys(("generate_structured", "generate_json"), (STRUCTURED,)),
    **dict.fromkeys(("generate_text", "llm_call", "llm_generate", "generate_content"), (TEXT,)),
    **dict.fromkeys(("analyze_text", "model"), ANALYSES),
    **dict.fromkeys(("web_search", "headless_browser"), (_FOUND, _READ, _VERIFIED, _PICTURED)),
    "debug": (_LOGGED,),
    "data_processing": PROCESSED,
    "data_processor": PROCESSED,
    "validation": (_VALIDATED, _EXTRACTED),
    "python_executor": (
        OlderCall(
            "python.execute",
            ("", "execute", "run", "execute_code"),
            parameters={**named("inputs", "variables", "context"), **named("code", "script", "source")},
            results={"output": "stdout", "return_value": "", "error_output": "stderr"},
            ignored={"capture_output": (True,), "sandbox": (True,), "sandboxed": (True,)},
            without_effect=dict.fromkeys(
                ("dependencies", "packages", "requirements", "imports", "allowed_modules"),
                "a run installs nothing: the code has the packages that are installed with Orchestrator",
            ),
        ),
    ),
    "terminal": (_COMMAND, _EXECUTED),
    "filesystem": _OLDER_FILES,
    "pipeline_executor": (_CALLED,),
    "user_prompt": (ASKED,),
    "approval_gate": (APPROVED,),
    "feedback_collection": (FEEDBACK,),
    "report_generator": (_PAGE, _PAGE_PDF, _PAGE_WORD, _PAGE_FILE, _PAGE_TEXT),
    "pdf_compiler": (_PDF,),
    "image_analysis": (SEEN,),
    "audio_processing": (HEARD, SPOKEN),
    "image_generation": (PAINTED, REPAINTED),
    "video_processing": (WATCHED,),
    "mcp_memory": MEMORY,
    "mcp_server": REMOTE,
    "task_delegation": (ROUTED,),
    "multi_model_routing": (ROUTED,),
    "prompt_optimization": (IMPROVED,),
    "visualization": (_CHART, _CHARTS),
}
"""What the names of tools, and of actions without a tool, mean: in lower case with `_` for `-`.

Of several meanings the first applies whose `actions` and `when` match.
"""

"""Tools and actions of other workflow tools, and their equivalents: a tool here, or a kind of step."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from orchestrator.diagnostics import suggest
from orchestrator.text.words import quoted_list, shorten
from orchestrator.tools import Unresolved

if TYPE_CHECKING:
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.tools import Registry
    from orchestrator.tools.contract import Action

_TOOLS: Final = {
    **dict.fromkeys(("shell", "bash", "sh", "command", "cmd", "exec", "subprocess", "powershell"), "terminal.execute"),
    **dict.fromkeys(
        ("run", "system", "cli", "process", "run-command", "run-shell", "script-runner"), "terminal.execute"
    ),
    **dict.fromkeys(("file", "files", "fs", "file-system", "file-io", "file-operations"), "filesystem"),
    **dict.fromkeys(("directory", "folder", "disk"), "filesystem"),
    **dict.fromkeys(("read-file", "file-reader", "load-file", "file-read", "slurp"), "filesystem.read"),
    **dict.fromkeys(("write-file", "file-writer", "save-file", "file-write", "save"), "filesystem.write"),
    **dict.fromkeys(("copy", "copy-file"), "filesystem.copy"),
    **dict.fromkeys(("ls", "list-files", "find"), "filesystem.list"),
    **dict.fromkeys(("request", "requests", "fetch", "curl", "wget", "api", "web", "url", "rest", "uri"), "http.get"),
    **dict.fromkeys(("http-request", "rest-api", "api-call", "api-client", "http-client", "httpx"), "http.get"),
    **dict.fromkeys(("scraper", "web-scraper", "scrape", "crawler", "web-scraping", "web-page", "webpage"), "web.read"),
    **dict.fromkeys(("headless-browser", "playwright", "selenium", "puppeteer", "chromium"), "browser.visit"),
    **dict.fromkeys(("web-browser", "chrome", "headless-chrome", "pyppeteer", "browser-automation"), "browser.visit"),
    **dict.fromkeys(("screenshot", "screenshots", "web-screenshot"), "browser.screenshot"),
    **dict.fromkeys(("google", "google-search", "serpapi", "duckduckgo", "ddgs", "tavily"), "web.search"),
    **dict.fromkeys(("web-search", "search", "bing", "brave", "exa", "searxng", "search-web"), "web.search"),
    **dict.fromkeys(("zip", "tar", "gzip", "archiver", "compress", "zip-file", "zipfile"), "archive.create"),
    **dict.fromkeys(("unzip", "untar", "gunzip", "decompress", "unarchive", "unpack", "unpacker"), "archive.extract"),
    **dict.fromkeys(("webhook", "post"), "http.post"),
    **dict.fromkeys(
        ("mail", "smtp", "send-email", "send-mail", "sendmail", "mailer", "gmail", "email-sender"), "email"
    ),
    **dict.fromkeys(("download", "downloader", "get-url"), "http.download"),
    **dict.fromkeys(("csv", "table", "dataframe", "pandas", "polars", "spreadsheet", "excel", "etl"), "data"),
    **dict.fromkeys(
        ("s3", "gcs", "azure-blob", "blob", "object-store", "object-storage", "bucket", "fsspec"), "storage"
    ),
    **dict.fromkeys(("data-processing", "data-processor", "data-transform", "transform", "dataset"), "data"),
    **dict.fromkeys(("sql", "duckdb", "sqlite", "query"), "data.sql"),
    **dict.fromkeys(("script", "code", "py", "code-interpreter", "notebook", "lambda", "function"), "python.execute"),
    **dict.fromkeys(
        ("python-code", "run-python", "python3", "jupyter", "python-script", "code-runner"), "python.execute"
    ),
    **dict.fromkeys(
        ("print", "echo", "message", "debug", "logger", "logging", "console", "output", "log-message"), "log"
    ),
    **dict.fromkeys(("wait", "delay", "pause", "timer"), "sleep"),
    **dict.fromkeys(("string", "render", "jinja", "template", "format"), "text.template"),
    **dict.fromkeys(("text-processing", "string-processing", "text-processor"), "text"),
    **dict.fromkeys(("regex", "grep", "search-text"), "text.regex"),
    **dict.fromkeys(("markdown", "html", "report-generator", "html-report", "reporting"), "report.html"),
    **dict.fromkeys(("pdf", "pdf-generator", "weasyprint", "markdown-to-pdf", "html-to-pdf"), "report.pdf"),
    **dict.fromkeys(("visualization", "visualisation", "charts", "plot", "graph", "diagram"), "chart.draw"),
    **dict.fromkeys(("matplotlib", "plotly", "seaborn", "altair", "vega", "vega-lite"), "chart.draw"),
    **dict.fromkeys(("docx", "word", "word-document", "markdown-to-docx", "pandoc"), "report.docx"),
    **dict.fromkeys(("jq", "json-query", "jsonpath", "json-processor"), "json.query"),
    **dict.fromkeys(("validate", "validation", "validator", "json-schema", "schema-validator"), "json.validate"),
    **dict.fromkeys(("merge", "combine", "json-merge"), "json.merge"),
    **dict.fromkeys(("image-generation", "generate-image", "image-generator", "dall-e", "dalle"), "image.generate"),
    **dict.fromkeys(("text-to-image", "stable-diffusion", "midjourney", "imagen"), "image.generate"),
    **dict.fromkeys(("text-to-speech", "tts", "speech", "elevenlabs", "speak"), "audio.speak"),
    **dict.fromkeys(("whisper", "speech-to-text", "stt", "transcription", "transcribe"), "audio.transcribe"),
    **dict.fromkeys(("mcp-server", "mcp-client", "mcp-tool"), "mcp.call"),
    **dict.fromkeys(("mcp-memory", "memory-store", "key-value-store", "kv", "redis", "remember"), "memory"),
    **dict.fromkeys(("vector-store", "vectorstore", "vector-db", "vector-search", "similarity-search"), "vector.query"),
    **dict.fromkeys(("chroma", "pinecone", "qdrant", "weaviate", "faiss", "lancedb", "retriever"), "vector.query"),
    **dict.fromkeys(("rag", "knowledge-base", "semantic-search", "pgvector", "milvus"), "vector.query"),
    **dict.fromkeys(("agent-memory", "long-term-memory", "context-store", "recall"), "memory"),
}
"""The equivalent tool or action of a name in other tools, in lower case with hyphens."""

_HUMP: Final = re.compile(r"([a-z0-9])([A-Z])")
_ENDINGS: Final = (
    "-executor",
    "-command",
    "-call",
    "-request",
    "-client",
    "-tool",
    "-action",
    "-node",
    "-step",
    "-task",
    "-operator",
    "-component",
    "-runner",
)
"""Suffixes of tool names in other tools that have no meaning here."""

_ACTIONS: Final = {
    "archive": {
        **dict.fromkeys(("zip", "tar", "pack", "compress", "add", "archive"), "create"),
        **dict.fromkeys(("unzip", "untar", "unpack", "decompress", "unarchive", "extract_all"), "extract"),
        **dict.fromkeys(("ls", "entries", "contents"), "list"),
    },
    "browser": {
        **dict.fromkeys(("open", "goto", "navigate", "browse", "scrape", "extract", "read", "fetch"), "visit"),
        **dict.fromkeys(("click", "fill", "type", "submit", "interact", "download"), "visit"),
        **dict.fromkeys(("capture", "picture", "take_screenshot", "snapshot", "image"), "screenshot"),
    },
    "filesystem": {
        **dict.fromkeys(("load", "open", "get", "cat", "read_file", "read_text"), "read"),
        **dict.fromkeys(("save", "create", "store", "put", "write_file", "write_text", "touch"), "write"),
        **dict.fromkeys(("remove", "rm", "unlink", "rmdir", "del"), "delete"),
        **dict.fromkeys(("rename", "mv"), "move"),
        **dict.fromkeys(("ls", "dir", "list_dir", "listdir", "list_files"), "list"),
        **dict.fromkeys(("find", "search", "walk"), "glob"),
        **dict.fromkeys(("stat", "exist", "is_file", "check"), "exists"),
        "cp": "copy",
    },
    "storage": {
        **dict.fromkeys(("get", "get_object", "load", "open", "cat"), "read"),
        **dict.fromkeys(("put", "put_object", "save", "create"), "write"),
        **dict.fromkeys(("ls", "list_objects", "dir", "glob"), "list"),
        **dict.fromkeys(("head", "stat", "info"), "exists"),
        **dict.fromkeys(("remove", "rm", "delete_object"), "delete"),
        **dict.fromkeys(("upload_file", "push"), "upload"),
        **dict.fromkeys(("download_file", "pull", "fetch"), "download"),
        "cp": "copy",
    },
    "http": {
        **dict.fromkeys(("fetch", "scrape", "read", "open", "visit", "browse", "extract", "crawl"), "get"),
        **dict.fromkeys(("put", "patch", "delete", "head", "options", "call"), "request"),
        **dict.fromkeys(("send", "submit", "create"), "post"),
        "save": "download",
    },
    "data": {
        **dict.fromkeys(("load", "open", "import", "parse", "read_csv"), "read"),
        **dict.fromkeys(("save", "export", "store", "write_csv", "to_csv"), "write"),
        **dict.fromkeys(("query", "execute"), "sql"),
        **dict.fromkeys(("groupby", "group_by", "group", "summarize", "count"), "aggregate"),
        **dict.fromkeys(("map", "transform", "project", "compute", "columns"), "select"),
        **dict.fromkeys(("merge", "combine"), "join"),
        **dict.fromkeys(("unique", "distinct", "dedupe"), "deduplicate"),
        **dict.fromkeys(("order", "order_by"), "sort"),
        **dict.fromkeys(("where", "search"), "filter"),
        **dict.fromkeys(("check", "verify", "expect", "assert"), "validate"),
        **dict.fromkeys(("describe", "statistics", "stats", "info", "explore"), "profile"),
        **dict.fromkeys(("melt", "pivot_longer", "to_long", "unstack"), "unpivot"),
        **dict.fromkeys(("pivot_wider", "to_wide", "crosstab", "pivot_table"), "pivot"),
        **dict.fromkeys(("rolling", "rank", "lag", "lead", "running_total", "cumulative"), "window"),
    },
    "json": {
        **dict.fromkeys(("get", "select", "extract", "find", "path", "parse"), "query"),
        **dict.fromkeys(("combine", "update", "join"), "merge"),
        **dict.fromkeys(("check", "verify", "schema"), "validate"),
    },
    "memory": {
        **dict.fromkeys(("store", "put", "save", "write", "remember", "update"), "set"),
        **dict.fromkeys(("retrieve", "read", "load", "recall", "fetch"), "get"),
        **dict.fromkeys(("find", "query", "match"), "search"),
        **dict.fromkeys(("keys", "list_keys", "scan"), "list"),
        **dict.fromkeys(("remove", "forget", "del"), "delete"),
        **dict.fromkeys(("add", "push", "rpush", "extend"), "append"),
        **dict.fromkeys(("reset", "flush", "delete_all"), "clear"),
    },
    "vector": {
        **dict.fromkeys(("search", "find", "retrieve", "similarity_search", "nearest"), "query"),
        **dict.fromkeys(("add", "insert", "store", "put", "write"), "upsert"),
        **dict.fromkeys(("split", "cut", "chunks"), "chunk"),
        **dict.fromkeys(("remove", "drop", "clear"), "delete"),
        **dict.fromkeys(("list", "list_collections", "stats"), "collections"),
    },
    "text": {
        **dict.fromkeys(("render", "format", "fill"), "template"),
        **dict.fromkeys(("match", "search", "find", "extract"), "regex"),
        **dict.fromkeys(("sub", "substitute"), "replace"),
        **dict.fromkeys(("chunk", "cut"), "split"),
    },
}
"""By tool, the names of its actions in other tools."""

_BY_FILTER: Final = "use a filter in the step that reads the value: `{{{{ value | {name} }}}}`"
_ACTION_HELP: Final = {
    "data": {
        **dict.fromkeys(
            ("convert", "to_json", "to_parquet", "reformat", "change_format"),
            "to convert a file, write its rows in the other format: `action: write` with `rows: in.csv` and "
            "`path: out.json`; `types` of `action: read` sets the types of columns",
        ),
        **dict.fromkeys(("cast", "astype"), "set the types of columns with `types` of `action: read`"),
        **dict.fromkeys(("rename", "add_column", "with_columns"), "list the columns, as SQL, in `action: select`"),
        **dict.fromkeys(("head", "limit", "take"), "write a slice of the rows: `{{ rows[:10] }}`"),
    },
    "filesystem": {
        **dict.fromkeys(
            ("mkdir", "create_directory", "make_directory", "create_dir", "makedirs", "ensure_directory"),
            "remove the step: `write` and `copy` create missing directories",
        ),
        **dict.fromkeys(("download", "fetch"), "download files with `tool: http`, `action: download`"),
        **dict.fromkeys(("parse", "read_json", "load_json"), "read the file, and convert the text: `| from_json`"),
        **dict.fromkeys(("read_csv", "write_csv"), "read and write tables with `tool: data`"),
        **dict.fromkeys(
            ("extract", "unzip", "untar", "unpack", "decompress"),
            "unpack an archive with `tool: archive`, `action: extract`, which needs `path` and `destination`",
        ),
        **dict.fromkeys(
            ("archive", "zip", "tar", "pack", "compress"),
            "pack files with `tool: archive`, `action: create`, which needs `path` and `destination`",
        ),
    },
    "text": {
        **dict.fromkeys(("upper", "lower", "trim", "title", "capitalize", "join", "length"), _BY_FILTER),
        **dict.fromkeys(("concat", "concatenate", "append"), "join texts in a template: `{{ a }}{{ b }}`"),
        **dict.fromkeys(("summarize", "translate", "classify"), "ask a model: `tool: model`"),
    },
    "mcp": {
        **dict.fromkeys(
            ("connect", "start", "disconnect", "stop", "register", "configure", "initialize", "close"),
            "remove the step: a server is declared as `[mcp.NAME]` in orchestrator.toml, and starts and ends by itself",
        ),
        **dict.fromkeys(
            ("list_resources", "read_resource", "list_prompts", "get_prompt"),
            "only the tools of servers can be called: `action: list` lists them, `action: call` calls one",
        ),
    },
    "json": {
        **dict.fromkeys(("load", "loads", "from_string", "decode"), "convert text in a template: `| from_json`"),
        **dict.fromkeys(("dump", "dumps", "stringify", "encode"), "convert a value in a template: `| to_json`"),
        **dict.fromkeys(("read", "load_file"), "read the file with `tool: filesystem`, and convert it: `| from_json`"),
    },
}
"""By tool, what to do instead of an action that is not one of it and has no equivalent among its actions."""

_ASK: Final = ("user-prompt", "user-input", "prompt-user", "human-input", "input", "ask", "question", "form", "survey")
_ASK_TOO: Final = (
    "feedback",
    "feedback-collection",
    "human",
    "human-in-the-loop",
    "ask-user",
    "ask-human",
    "vars-prompt",
)
_APPROVE: Final = (
    "approval",
    "approval-gate",
    "approve",
    "confirm",
    "manual-approval",
    "human-approval",
    "review",
    "gate",
)
_PIPELINE: Final = (
    "pipeline",
    "sub-pipeline",
    "subpipeline",
    "subflow",
    "sub-workflow",
    "workflow",
    "run-workflow",
    "call",
)
_PIPELINE_TOO: Final = (
    "run-pipeline",
    "include",
    "include-tasks",
    "import-tasks",
    "child-workflow",
    "flow",
    "trigger-dag",
)
_AGENT: Final = ("ai-agent", "react-agent", "task-delegation", "autonomous-agent", "crew", "delegate")
_PROVIDERS: Final = ("openai", "anthropic", "claude", "gpt", "chatgpt", "gemini", "ollama", "huggingface", "chat-model")
_SEND: Final = (
    "slack",
    "teams",
    "discord",
    "telegram",
    "notify",
    "notification",
)
_MEDIA: Final = (*("image-processing", "image-processor", "pillow", "imagemagick"),)

_STEPS: Final = {
    **dict.fromkeys((*_ASK, *_ASK_TOO), "to ask a person, write `ask: {prompt}` without `tool:`"),
    **dict.fromkeys(_APPROVE, "to ask for an approval, write `approve: {prompt}` without `tool:`"),
    **dict.fromkeys((*_PIPELINE, *_PIPELINE_TOO), "to call another file, write `pipeline: {file}` without `tool:`"),
    **dict.fromkeys(
        ("loop", "foreach", "for-each", "for", "iterate", "iterator", "map", "each"),
        "a loop is a key of the step that is repeated: write `for_each: [1, 2, 3]` next to its own `tool:`",
    ),
    **dict.fromkeys(
        ("while", "repeat", "until", "do-while", "recursion-control"),
        "a loop is a key of the step: write `until: done` with the repeated steps below `steps:`",
    ),
    **dict.fromkeys(
        ("switch", "case", "branch", "router", "choice", "decision", "conditional"),
        "a choice is a key of the step: write `switch: value` with the steps of each case below `cases:`",
    ),
    **dict.fromkeys(("if", "when", "condition"), "a condition is a key of the step: write `condition: count > 3`"),
    **dict.fromkeys(
        ("parallel", "concurrent", "fan-out", "fork", "parallel-group"),
        "parallel steps are a key of the step: write `parallel:` with a list of steps",
    ),
    **dict.fromkeys(("group", "block", "sequence", "sequential"), "a group is a step with a list of `steps:`"),
    **dict.fromkeys(
        ("set-fact", "set", "variable", "set-variable", "assign", "set-var", "variables"),
        "write the value below the file's `variables:`, or read the step that returns it",
    ),
    **dict.fromkeys(
        ("assert", "fail", "raise", "abort", "stop", "expect"),
        "write the check in the step that produces the output: `check: output | length > 0`",
    ),
    **dict.fromkeys(
        ("noop", "no-op", "dummy", "pass", "start", "begin", "end", "checkpoint", "dummy-step"),
        "remove the step: every result is recorded, and `dependencies:` sets the order",
    ),
    **dict.fromkeys(("cache", "memoize"), "a cache is a key of the step that is cached: write `cache: true`"),
    **dict.fromkeys(("try", "catch", "error-handler"), "errors are handled by a key of the step: write `on_error:`"),
    **dict.fromkeys(("cleanup", "finally", "teardown"), "write the steps that always run below `finally:` of the file"),
    **dict.fromkeys(_PROVIDERS, "to call a model, write `prompt:` in the step and `model: auto`, without `tool:`"),
    **dict.fromkeys(_AGENT, "an agent is an action of a model: write `action: agent` with a `prompt:` and `tools:`"),
    **dict.fromkeys(
        _SEND,
        "`email` sends mail, and no other tool sends messages: call the API of the service with `tool: http`, "
        "`action: post`",
    ),
    **dict.fromkeys(
        _MEDIA,
        "to have a model change a picture, write `tool: image`, `action: edit`; for all else run a program, "
        "`tool: terminal`, or write a tool in Python",
    ),
    **dict.fromkeys(
        ("video-processing", "audio-processing", "video-processor", "audio-processor"),
        "no built-in tool changes audio or video: run a program, `tool: terminal`, `command: [ffmpeg, ...]`; to have a "
        "model hear or see a file, write `prompt:` with `files: [talk.mp3]`",
    ),
}
"""By the name of a tool in other tools, the equivalent kind of step, or the alternative."""


def elsewhere(step: StepSpec, why: Unresolved, registry: Registry) -> tuple[str, str | None] | None:
    """Return a help line for a tool of another workflow tool, and a safe replacement for its name.

    None if no such tool is known.
    """
    written = (step.action if why.key == "action" else step.tool) or ""
    head, _, tail = written.partition(".")
    words = [word for word in _words(head) if word in _TOOLS or word in _STEPS or word in registry]
    if not words or (words[0] == head and head in registry):
        return None
    word = words[0]
    if word in _STEPS:
        return _as_step(step, word), None
    name, _, action = _TOOLS.get(word, word).partition(".")
    if name not in registry:
        return None
    wanted = (tail if why.key == "action" else step.action) or ""
    if (instead := action_help(name, wanted)) is not None:
        return f"`tool: {name}` replaces it; {instead}", None
    return as_tool(step, why, registry, name, wanted, action)


def action_meant(tool: str, word: str) -> str | None:
    """Return the action of a tool that a word of another workflow tool probably means."""
    return _ACTIONS.get(tool, {}).get(word.strip().replace("-", "_").lower())


def action_help(tool: str, word: str) -> str | None:
    """Return what to do instead of an action of another workflow tool that no action of the tool corresponds to."""
    name = word.strip().replace("-", "_").lower()
    help = _ACTION_HELP.get(tool, {}).get(name)
    return help.format(name=name) if help is _BY_FILTER else help


def _words(head: str) -> list[str]:
    """Return a name in the spelling of the tables, with and without a meaningless suffix."""
    word = _HUMP.sub(r"\1-\2", head.strip()).replace("_", "-").replace(" ", "-").lower()
    shorter = [word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending)]
    return [each for each in (word, *shorter) if each]


def _as_step(step: StepSpec, word: str) -> str:
    given = step.parameters if isinstance(step.parameters, dict) else {}
    said = (given.get(name) for name in ("prompt", "question", "message", "title", "text"))
    prompt = next((each for each in said if isinstance(each, str) and each), "Which one?")
    files = (given.get(name) for name in ("pipeline", "file", "path", "workflow"))
    file = next((each for each in files if isinstance(each, str) and each), "other.yaml")
    return (
        _STEPS[word]
        .replace("{prompt}", json.dumps(shorten(prompt), ensure_ascii=False))
        .replace("{file}", shorten(file))
    )


def as_tool(
    step: StepSpec, why: Unresolved, registry: Registry, name: str, wanted: str, likely: str = ""
) -> tuple[str, str | None]:
    """Return how to call a registered tool; `wanted` is the action that the step names, `likely` the usual one."""
    found = registry.resolve(name, wanted or likely or None)
    kept = bool(wanted)
    if isinstance(found, Unresolved) and wanted:
        tool = registry.get(name)
        near = action_meant(name, wanted) or (suggest(wanted, tool.actions) if tool is not None else None)
        kept = False
        found = registry.resolve(name, near or likely or None)
    if isinstance(found, Unresolved):
        if why.key == "action":
            return f"write one of {quoted_list([f'{name}.{each}' for each in sorted(found.candidates)], most=12)}", None
        return f"write `tool: {name}` with one of its actions: {quoted_list(sorted(found.candidates), most=12)}", None
    tool, action = found
    single = tool.only_action is not None
    takes = _takes(step, action)
    if why.key == "action":
        whole = name if single else f"{name}.{action.name}"
        safe = not takes and (kept or not wanted)
        return (f"did you mean `{whole}`?", whole) if safe else (f"write `action: {whole}`{takes}", None)
    if not takes and (kept or (single and not wanted)):
        return f"did you mean `{name}`?", name
    return f"write `tool: {name}`" + ("" if single and not wanted else f", `action: {action.name}`") + takes, None


def _takes(step: StepSpec, action: Action) -> str:
    """Return the parameters of an action, if those of the step do not match."""
    given = set(step.parameters) if isinstance(step.parameters, dict) else set()
    needed = [parameter.name for parameter in action.parameters.values() if parameter.required]
    unknown = set() if action.accepts_extra else given - action.parameters.keys()
    if given.issuperset(needed) and not unknown:
        return ""
    if not needed:
        return f"; it takes {quoted_list(action.parameters, most=8)}"
    return f"; it needs {quoted_list(needed, most=8)}"

"""Tells at little cost whether a file may use the dialect: a canonical file is not read twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.yaml.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.language.yaml.nodes import Entry, Mapping

KEYS: Final = frozenset(
    {
        *("action_loop", "capture_output", "create_parallel_queue", "error_codes", "format", "handler_task_id"),
        *("location", "loop", "on_error", "priority", "response_format", "retry_with_handler", "then", "else"),
        *("goto", "next_step", "retry_delay", "retry_backoff", "model_requirements", "error_handling"),
        *words.STEP_KEYS,
        *words.RETRY_KEYS,
        *words.HANDLER_KEYS,
        *words.INERT - {"type"},
    }
)
"""Keys that canonical files rarely have."""

_WORDS: Final = (
    *("parameters.", "parameters[", "outputs.", "execution", "timestamp", "current_", "pipeline_id", "pipeline_name"),
    *(
        "run_id",
        "output_path",
        "$item",
        "$index",
        "$iter",
        "{{ file:",
        "{{file:",
        "<< ",
        "<<./",
        "loop.",
        ".results",
        "<AUTO ",
        "<AUTO>",
    ),
    *("| json", "|json", "parallel: true", "parallel: false", "while: true", "while: 'true'", 'while: "true"'),
    *(".iteration", ".return_code", ".returncode", ".file_path", ".filepath", "'success", '"success', "'complete"),
    *('"complete', "'failure'", '"failure"', "'error'", '"error"'),
    *(
        ".model_used",
        ".model_id",
        ".selected_model",
        ".generated_text",
        ".outputs.result",
        ".output.result",
        "messages:",
        ".response",
        "python-executor",
        "python_executor",
    ),
    *("approval-gate", "approval_gate", "feedback-collection", "feedback_collection", "mcp-server", "mcp_server"),
    *("pipeline-executor", "pipeline_executor", "report-generator", "report_generator", "task-delegation"),
    *("task_delegation", "multi-model-routing", "multi_model_routing", "prompt-optimization", "prompt_optimization"),
    *("visualization", "validation", "data-processing", "data_processing", "user-prompt", "user_prompt"),
    *("web-search", "web_search", "execute_command", "run_command", "system_prompt", "system_message"),
    *(
        "json_object",
        "produces:",
        "strftime",
        "| slug",
        "|slug",
        "{{ date",
        "{{ today",
        "output_dir",
        "while: 'True'",
        "while: True",
    ),
)
_OTHER_INPUTS: Final = frozenset({"parameters", "params"})
_TYPE: Final = re.compile(
    r"type: *[\"']?(?:"
    + "|".join(sorted({*words.LOOP_TYPES, *words.REPEAT_TYPES, *words.GROUP_TYPES, *words.PLAIN_TYPES}))
    + r")\b"
)
_CONDITIONS: Final = {
    key: re.compile(rf"{key}:(?: *[|>]| *(?![\"']?\{{\{{[^{{}}\n]*\}}\}}[\"']?[ \t]*(?:\n|\Z))[^\n]*\{{\{{)")
    for key in ("condition", "if", "when", "while", "until")
}
"""Conditions with braces around only a part of them."""


def may_use_dialect(text: str, keys: Collection[str], root: Mapping) -> bool:
    """Whether a file may use a form of the dialect; `keys` are the keys of all its mappings."""
    top = root.table
    return (
        not KEYS.isdisjoint(keys)
        or any("-" in key for key in keys)
        or any(name.startswith("x_") for name in top)
        or ("inputs" in top and not _OTHER_INPUTS.isdisjoint(top))
        or any(word in text for word in _WORDS)
        or ("outputs" in keys and text.count("outputs:") > ("outputs" in top))
        or ("type" in keys and _TYPE.search(text) is not None)
        or any(key in keys and pattern.search(text) for key, pattern in _CONDITIONS.items())
        or _reads_variable_as_input(text, top.get("variables"))
    )


def _reads_variable_as_input(text: str, variables: Entry | None) -> bool:
    names = variables.value.table if variables is not None and isinstance(variables.value, MappingNode) else ()
    return bool(names) and "inputs." in text and any(f"inputs.{name}" in text for name in names)

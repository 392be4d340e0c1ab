"""The accepted spellings of keys and words, each with its canonical one."""

from __future__ import annotations

PIPELINE_KEYS = {
    "parameters": "inputs",
    "params": "inputs",
    "vars": "variables",
    "constants": "variables",
    "on_error": "error_handlers",
    "global_error_handlers": "error_handlers",
    "default_model": "model",
    "orchestrator": "judge_model",
}

STEP_KEYS = {
    "depends_on": "dependencies",
    "depends": "dependencies",
    "needs": "dependencies",
    "if": "condition",
    "when": "condition",
    "params": "parameters",
    "args": "parameters",
    "arguments": "parameters",
    "with": "parameters",
    "timeout_seconds": "timeout",
    "foreach": "for_each",
    "loop_over": "for_each",
    "loop_var": "as",
    "loop_variable": "as",
    "item_name": "as",
    "max_concurrency": "max_parallel",
    "concurrency": "max_parallel",
    "on_item_error": "on_item_failure",
    "max_loop_iterations": "max_iterations",
    "otherwise": "default",
    "sub_pipeline": "pipeline",
}

ASK_KEYS = {
    "question": "prompt",
    "message": "prompt",
    "options": "choices",
    "enum": "choices",
    "min": "minimum",
    "max": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "assignees": "assignee",
}

CONCURRENCY_KEYS = {"group": "key", "limit": "max", "max_runs": "max"}

APPROVE_KEYS = {
    "prompt": "title",
    "question": "title",
    "message": "title",
    "editable": "allow_editing",
    "assignees": "assignee",
}

HANDLER_KEYS = {
    "error_type": "error_types",
    "errors": "error_types",
    "error_pattern": "error_patterns",
    "patterns": "error_patterns",
    "fallback": "fallback_value",
    "handler_action": "action",
}

CHECK_KEYS = {"expressions": "that", "expression": "that"}

RETRY_KEYS = {
    "attempts": "max_attempts",
    "initial_delay": "delay",
    "backoff_factor": "backoff",
    "retry_on": "on",
}

INPUT_KEYS = {
    "min": "minimum",
    "max": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "choices": "enum",
    "options": "enum",
    "env": "default_from_env",
    "desc": "description",
}

OUTPUT_KEYS = {"desc": "description", "from": "value"}

DEFAULTS_KEYS = {"timeout_seconds": "timeout"}

ATTEMPTS = "max_attempts"
"""The total number of attempts: `max_attempts: 2` in a step is `retry: 2`."""

RETRY_COUNTS = ("max_retries", "retries", "retry_count")
"""The number of attempts after the first: `max_retries: 2` is `retry: 3`."""

TYPE_WORDS = {
    **dict.fromkeys(("str", "text"), "string"),
    "int": "integer",
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    "bool": "boolean",
    "list": "array",
    **dict.fromkeys(("dict", "map", "mapping"), "object"),
    "path": "file",
}

ON_FAILURE_WORDS = {"stop": "fail", "abort": "fail", "ignore": "continue", "skip": "continue"}

BACKOFF_WORDS = {"exponential": 2.0, "fixed": 1.0, "constant": 1.0, "none": 1.0}

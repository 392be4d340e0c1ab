"""The words of the dialect, each with its meaning here. `cases` has an example of each kind."""

from __future__ import annotations

from typing import Final

NAMES: Final = {
    "execution.timestamp": "run.started_at",
    "execution.start_time": "run.started_at",
    "execution.started_at": "run.started_at",
    "execution.date": "now('%Y-%m-%d')",
    "execution.time": "now('%H:%M:%S')",
    "execution.id": "run.id",
    "execution.run_id": "run.id",
    "execution_id": "run.id",
    "run_id": "run.id",
    "timestamp": "run.started_at",
    "current_timestamp": "run.started_at",
    "current_date": "now('%Y-%m-%d')",
    "current_time": "now('%H:%M:%S')",
    "pipeline_id": "pipeline.id",
    "pipeline_name": "pipeline.name",
    "output_path": "'outputs/' ~ run.id",
}
"""DeclaredNames in templates that the file does not declare itself."""

RESULT_FIELDS: Final = {
    "filesystem": {"filepath": "path", "file_path": "path", "file_size": "size"},
    "terminal": {"return_code": "exit_code", "returncode": "exit_code"},
}
"""By tool, older names of the fields of a result."""

STATUS_WORDS: Final = {
    **dict.fromkeys(("success", "successful", "completed", "complete", "ok"), "succeeded"),
    **dict.fromkeys(("failure", "error", "errored"), "failed"),
}
"""Words that a file compares with the `status` of a step."""

FILTERS: Final = {"json": "to_json"}

IN_FOR_EACH: Final = {
    "iteration": "index + 1",
    "index0": "index",
    "first": "is_first",
    "is_first": "is_first",
    "last": "is_last",
    "is_last": "is_last",
    "item": "item",
    "current_item": "item",
}
"""The fields of `loop` in a loop over items. `loop.index` counts from 0 in some files and from 1 in others."""

IN_REPEAT: Final = {"iteration": "iteration", "index": "iteration", "index0": "iteration - 1", "count": "iteration"}
"""The fields of `loop` in a loop with a condition."""

INERT: Final = frozenset(
    {
        *("author", "authors", "category", "config", "configuration", "contact", "created", "created_at"),
        *("created_by", "documentation", "enhanced_outputs", "examples", "execution"),
        *("features", "kind", "last_updated", "license", "maintainer", "modified", "monitoring", "notes"),
        *("optimization", "options", "owner", "performance", "requirements", "schema_version", "settings", "tags"),
        *("type", "updated", "updated_at", "usage", "validation"),
    }
)
"""Keys at the top of a file that have no effect, and are kept as metadata."""

PLACE_OF_SETTING: Final = {
    "timeout": "timeout: 10m",
    "max_retries": "defaults: {max_retries: 2}",
    "retry": "defaults: {retry: 3}",
    "retries": "defaults: {max_retries: 2}",
    **dict.fromkeys(("max_parallel", "max_concurrent", "parallelism", "max_workers"), "defaults: {max_parallel: 4}"),
    **dict.fromkeys(("model", "default_model"), "model: auto"),
    **dict.fromkeys(("budget", "max_cost", "cost_limit"), "budget: 2"),
    "error_handling": "defaults: {retry: 3}",
}
"""Settings below an inert key that have their place elsewhere in the file."""

STEP_KEYS: Final = {
    "max_concurrent": "max_parallel",
    "max_concurrent_tasks": "max_parallel",
    "parallel_limit": "max_parallel",
    "max_completion_tokens": "max_tokens",
    "loop_condition": "while",
    "while_condition": "while",
    "until_condition": "until",
    "break_condition": "until",
    "exit_condition": "until",
    "stop_condition": "until",
    "on_failure_goto": "on_failure",
}

PARAMETER_KEYS: Final = {"max_completion_tokens": "max_tokens", "requires-model": "requires_model"}
"""Parameters of a call."""

LOOP_KEYS: Final = {
    **dict.fromkeys(("items", "over", "on", "in", "source", "collection", "iterate_over", "for"), "for_each"),
    **dict.fromkeys(("item_var", "item_as", "iterator", "variable", "loop_var", "loop_variable"), "as"),
    **dict.fromkeys(("body", "do", "tasks", "actions", "action_loop", "substeps"), "steps"),
    **dict.fromkeys(("end_condition", "until_condition", "break_condition"), "until"),
    **dict.fromkeys(("max_workers", "workers", "batch_limit"), "max_parallel"),
}
"""Keys of a step that says that it is a loop, and of what is below `create_parallel_queue` or `loop`."""

LOOP_TYPES: Final = frozenset(
    {"loop", "parallel_map", "map", "for_each", "foreach", "for", "parallel_loop", "create_parallel_queue"}
)
REPEAT_TYPES: Final = frozenset({"while", "while_loop", "until", "until_loop"})
GROUP_TYPES: Final = {
    **dict.fromkeys(("parallel", "parallel_group"), "parallel"),
    **dict.fromkeys(("sequential", "sequence", "group", "block"), "steps"),
}
PLAIN_TYPES: Final = frozenset(
    {"step", "task", "action", "tool", "llm", "model", "prompt", "pipeline", "sub_pipeline", "conditional"}
)
"""Words after `type:` of a step whose other keys say the same."""

HANDLER_KEYS: Final = {
    "handler_parameters": "parameters",
    "handler_params": "parameters",
    "default_value": "fallback_value",
    "fallback_result": "fallback_value",
    "handler_tool": "tool",
    "handler_steps": "steps",
    "error_pattern": "error_patterns",
}
INERT_IN_HANDLERS: Final = frozenset(
    {
        *("id", "name", "description", "metadata", "tags", "log_error", "log_level", "log", "capture_context"),
        *("continue_on_handler_failure", "propagate_error", "notify", "severity"),
    }
)
OUTCOMES: Final = {
    **dict.fromkeys(("continue", "skip", "ignore", "continue_pipeline"), "continue"),
    **dict.fromkeys(("fallback", "use_fallback", "default", "use_default"), "fallback"),
    **dict.fromkeys(("retry", "retry_step", "retry_task"), "retry"),
}
"""Words after `action:` of a handler that are no actions."""

CAPABILITY_OF_TASK: Final = {
    **dict.fromkeys(("vision", "image", "image_analysis", "image-analysis", "ocr", "multimodal"), "vision"),
    **dict.fromkeys(("code", "coding", "code_generation", "code-generation", "code_review", "programming"), "code"),
    **dict.fromkeys(("reasoning", "reason", "planning", "math"), "reasoning"),
    **dict.fromkeys(("audio", "speech", "transcription"), "audio"),
    "video": "video",
}
"""`task="..."` of an `<AUTO>` for a model. Any model can do the others, such as `analyze` and `summarize`."""

REQUIREMENT_OF: Final = {
    **dict.fromkeys(("capability", "capabilities", "requires", "features"), "capabilities"),
    **dict.fromkeys(("modality", "modalities"), "modalities"),
    **dict.fromkeys(("expertise", "domain", "skill", "skills"), "expertise"),
    **dict.fromkeys(("provider", "providers"), "providers"),
    **dict.fromkeys(("context", "min_context", "context_window", "context_length"), "context"),
    **dict.fromkeys(("max_cost", "max_price"), "max_cost"),
    **dict.fromkeys(("min_size", "size"), "min_size"),
    "max_size": "max_size",
}
_PRIORITIES: Final = {
    **dict.fromkeys(("cost", "cheap", "price"), "cost"),
    **dict.fromkeys(("speed", "fast", "latency"), "speed"),
    **dict.fromkeys(("quality", "accuracy", "best"), "quality"),
    **dict.fromkeys(("balanced", "balance"), "balanced"),
}
SELECTION_BY: Final = {
    "cost": {"low": "cost", "cheap": "cost", "minimal": "cost", "optimize": "cost"},
    "speed": {"fast": "speed", "high": "speed", "optimize": "speed"},
    "latency": {"low": "speed"},
    "quality": {"high": "quality", "best": "quality", "optimize": "quality"},
    "priority": _PRIORITIES,
    "optimize": _PRIORITIES,
    "optimize_for": _PRIORITIES,
    "selection": _PRIORITIES,
    "strategy": _PRIORITIES,
    "prefer": _PRIORITIES,
}
"""Attributes of an `<AUTO>` for a model that say what counts most."""

STEP_RESULT: Final = frozenset(
    {"result", "output", "text", "content", "response", "value", "status", "success", "error", "outputs"}
)
"""DeclaredNames of typed outputs of a step that every step has."""

TEXT_ACTIONS: Final = frozenset(
    {"generate", "generate_text", "generate-text", "llm_generate", "llm_call", "llm-call", "analyze_text", "analyze"}
)
"""Actions whose answer can have typed fields."""

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
    "output_dir": "'outputs/' ~ run.id",
    "date": "now('%Y-%m-%d')",
    "today": "now('%Y-%m-%d')",
}
"""DeclaredNames in templates that the file does not declare itself."""

_ANSWER: Final = {
    **dict.fromkeys(("content", "response", "generated_text"), "text"),
    **dict.fromkeys(("model_used", "model_id", "selected_model"), "model"),
}
RESULT_FIELDS: Final = {
    "generate_text": _ANSWER,
    "generate": {"model_used": "model", "model_id": "model"},
    "generate_structured": {"model_used": "model"},
    "analyze_text": {"model_used": "model", "content": "analysis", "response": "analysis"},
    "filesystem": {"filepath": "path", "file_path": "path", "file_size": "size"},
    "terminal": {"return_code": "exit_code", "returncode": "exit_code"},
}
"""By tool, older names of the fields of a result."""

STATUS_WORDS: Final = {
    **dict.fromkeys(("success", "successful", "completed", "complete", "ok"), "succeeded"),
    **dict.fromkeys(("failure", "error", "errored"), "failed"),
}
"""Words that a file compares with the `status` of a step."""

FILTERS: Final = {
    "json": "to_json",
    "slug": "slugify",
    "strip": "trim",
    "md5": "hash('md5')",
    **dict.fromkeys(("strftime", "date_format", "format_date"), "date"),
    **dict.fromkeys(("fromjson", "parse_json"), "from_json"),
    **dict.fromkeys(("titlecase", "title_case"), "title"),
}

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
        *(
            "assets",
            "caching",
            "context",
            "dependencies",
            "environment",
            "error_handling",
            "hooks",
            "logging",
            "namespace",
        ),
        *(
            "prerequisites",
            "required_models",
            "required_tools",
            "resources",
            "security",
            "tools",
            "use_cases",
            "outline",
        ),
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

RETRY_KEYS: Final = {
    **dict.fromkeys(
        ("exponential_base", "multiplier", "factor", "backoff_multiplier", "exponential_factor"), "backoff"
    ),
    **dict.fromkeys(("backoff_strategy", "strategy", "backoff_type"), "backoff"),
    **dict.fromkeys(("base_delay", "delay_seconds", "wait", "interval", "retry_delay"), "delay"),
    **dict.fromkeys(("maximum_delay", "max_wait", "backoff_max"), "max_delay"),
}
"""Keys below `retry`."""

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

PARAMETER_KEYS: Final = {
    **dict.fromkeys(("max_completion_tokens", "max_new_tokens", "max_output_tokens"), "max_tokens"),
    **dict.fromkeys(("system_prompt", "system_message"), "system"),
    **dict.fromkeys(("model_requirements", "requires-model", "model-requirements"), "requires_model"),
}
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
LOGGED: Final = frozenset({"log", "log_error", "log_and_continue", "log_warning"})
"""Words after `action:` of a handler that write the error to the log."""

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
    **dict.fromkeys(("max_cost", "max_price", "cost_limit", "max_cost_per_token"), "max_cost"),
    **dict.fromkeys(("min_size", "size", "min_params", "min_parameters"), "min_size"),
    "max_size": "max_size",
}
NO_REQUIREMENTS: Final = frozenset(
    {"fallback", "fallbacks", "prefer", "preferred", "preferences", "optional", "strict", "description", "priority"}
)
"""Keys below `requires_model` that name what is done anyway, or what no model can be asked for."""

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

LISTS: Final = (
    *("results", "search_results", "processed_data", "data", "rows", "records", "items", "charts", "entries"),
    *("iterations", "responses", "errors", "tools", "files"),
)
"""Fields of results that are lists, or often are."""

TEXT_TOOLS: Final = frozenset(
    {"generate", "generate_text", "generate_structured", "llm_generate", "llm_call", "analyze_text", "analyze", "model"}
    | {"summarize", "task_delegation", "multi_model_routing", "prompt_optimization", "debug", "log"}
)
"""Tools and actions whose texts may be a list in the dialect, which reads as JSON."""

TEXT_ACTIONS: Final = frozenset(
    {"generate", "generate_text", "generate-text", "llm_generate", "llm_call", "llm-call", "analyze_text", "analyze"}
)
"""Actions whose answer can have typed fields."""

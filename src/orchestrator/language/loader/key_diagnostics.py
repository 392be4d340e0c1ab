"""Diagnostics about keys: unknown keys, missing keys, and two spellings of the same key."""

from __future__ import annotations

import re
from functools import cache

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Fix, Related, Source, Span, suggest
from orchestrator.language.aliases import tables
from orchestrator.language.aliases.canonical import Clash, written_key
from orchestrator.language.spec import kinds, step_keys
from orchestrator.language.spec.base import Spec, key_fields
from orchestrator.language.spec.concurrency import ConcurrencySpec
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec
from orchestrator.language.spec.pipeline import HandlerSpec, OnFailureSpec, PipelineSpec, RetrySpec, StepSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec
from orchestrator.language.yaml.nodes import Mapping, Scalar
from orchestrator.text.words import quoted_list, shorten

_ALIASES: dict[str, dict[str, str]] = {
    "PipelineSpec": tables.PIPELINE_KEYS,
    "StepSpec": tables.STEP_KEYS,
    "InputSpec": tables.INPUT_KEYS,
    "OutputSpec": tables.OUTPUT_KEYS,
    "RetrySpec": tables.RETRY_KEYS,
    "DefaultsSpec": tables.DEFAULTS_KEYS,
    "CheckSpec": tables.CHECK_KEYS,
    "AskSpec": tables.ASK_KEYS,
    "ApproveSpec": tables.APPROVE_KEYS,
    "ConcurrencySpec": tables.CONCURRENCY_KEYS,
    "HandlerSpec": tables.HANDLER_KEYS,
}

# Keys of other tools, with the key that they stand for.
_MEANT = {
    "tasks": "steps",
    "jobs": "steps",
    "stages": "steps",
    "nodes": "steps",
    "uses": "tool",
    "type": "tool",
    "function": "action",
    "method": "action",
    "input": "parameters",
    "inputs": "parameters",
    "title": "name",
    "results": "outputs",
    "returns": "outputs",
    "after": "dependencies",
    "requires": "dependencies",
    "fallback": "on_failure",
    "error_handling": "on_failure",
    "env": "inputs",
    "values": "enum",
    "regex": "pattern",
    "do": "steps",
    "body": "steps",
    "substeps": "steps",
    "actions": "steps",
    "branches": "parallel",
    "match": "switch",
    "else": "default",
    **dict.fromkeys(("loop", "each", "parallel_for", "for", "map", "with_items", "scatter", "matrix"), "for_each"),
    **dict.fromkeys(("items", "strategy"), "for_each"),
    "repeat": "until",
    "wait": "sleep",
    "delay": "sleep",
    "approval": "approve",
    "confirm": "approve",
    **dict.fromkeys(("goto", "next", "jump"), "on_success"),
    **dict.fromkeys(("catch", "rescue", "except", "on_exception"), "on_error"),
    **dict.fromkeys(("assert", "expect", "verify", "validate"), "check"),
    **dict.fromkeys(("reduce", "accumulate"), "update"),
    **dict.fromkeys(("compensate", "rollback", "revert", "on_rollback"), "undo"),
    **dict.fromkeys(("set", "let", "assign", "compute", "set_fact"), "value"),
    **dict.fromkeys(("throw", "raise", "abort", "panic"), "fail"),
    **dict.fromkeys(("return", "finish", "exit", "succeed", "complete", "end_run"), "end"),
    "cleanup": "finally",
    "always": "finally",
    "ensure": "finally",
    "on_exit": "finally",
    **dict.fromkeys(("cost", "max_cost", "dollars", "limit"), "usd"),
    **dict.fromkeys(("calls", "max_requests", "max_calls"), "requests"),
    "max_tokens": "tokens",
    "instructions": "system",
    "llm": "model",
    **dict.fromkeys(("output_schema", "response_schema", "json_schema", "output_format", "output_type"), "schema"),
    "criteria": "rubric",
    "threshold": "min_score",
}

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HANDLERS_ELSEWHERE = {
    "priority": "handlers are tried in the order of the file: put them in the order you mean, and remove `priority`",
    **dict.fromkeys(("retry_with_handler", "max_handler_retries"), "to retry the step, write `retry: 2`"),
    "handler_task_id": "write the steps that handle the error below `steps:`; to jump, write `on_failure: id`",
    "error_codes": "list codes in `error_types`, or match them in the message with `error_patterns`",
    "condition": "write it in the steps below `steps:`; they can read `error`",
    "enabled": "write `condition:` in the steps below `steps:`; they can read `error`",
}


def unknown_key(
    source: Source,
    key: Scalar,
    model: type[Spec],
    what: str,
    node: Mapping,
) -> Diagnostic:
    """Return a diagnostic for a key that is not allowed here, with the closest one that is."""
    written = written_key(key)
    allowed = step_keys.allowed_keys(node) if model is StepSpec else _allowed(model)
    advice = _advice(written, model, node)
    near = None if advice else meant_key(key, model, allowed)
    if advice:
        help = advice
    elif near:
        help = f"did you mean `{near}`?"
    else:
        help = _listed(allowed, of_step=model is StepSpec)
    return Diagnostic(
        codes.INVALID_MODEL_OPTIONS if model is BudgetSpec else codes.UNKNOWN_KEY,
        f"{what} has no key `{shorten(written)}`",
        source,
        key.span,
        label="unknown key",
        help=help,
        fix=Fix(key.span, near) if near else None,
    )


def _advice(written: str, model: type[Spec], node: Mapping) -> str | None:
    """Return help for a key of another tool, or of another place in the file."""
    if model is HandlerSpec:
        return _HANDLERS_ELSEWHERE.get(written)
    if written in tables.RETRY_COUNTS and model in (StepSpec, RetrySpec):
        return 'a template counts all attempts: write `retry: {max_attempts: "{{ ... }}"}`'
    if model is PipelineSpec:
        return _of_pipeline(written)
    if model is ConcurrencySpec:
        return _OF_CONCURRENCY.get(written)
    if model is StepSpec:
        if written in _NOT_IN_STEPS:
            return _NOT_IN_STEPS[written]
        if written in key_fields(PipelineSpec) and written not in kinds.PARAMETERS:
            return f"`{written}` is a key of the file: write it at the top, next to `steps:`"
        for head, part, aliases in (("ask", AskSpec, tables.ASK_KEYS), ("approve", ApproveSpec, {})):
            if head in node.table and (written in key_fields(part) or written in aliases):
                first = "prompt" if head == "ask" else "title"
                return f"write it below `{head}:`: `{head}: {{{first}: ..., {written}: ...}}`"
        if written == "location":
            return (
                "write the file in a step of its own: `action: filesystem.write` for a text, `report.html` for a page"
            )
        if written in kinds.PARAMETERS and not step_keys.heads(node):
            near = suggest(written, kinds.HEADS)
            meant = f"did you mean `{near}`? " if near else ""
            return f"{meant}`{written}` is a parameter of a model call; such a step has a `prompt` or an `action`"
    return None


_TRIGGERS = 'write what starts runs below `triggers:`, for example `triggers: {nightly: {schedule: "15 3 * * *"}}`'
_RUNS = "to limit how many runs are executed at once, write `concurrency: {key: ..., max: 1}` at the top of the file"
_ELSEWHERE = {
    **dict.fromkeys(("on", "schedule", "cron", "events", "start_on"), _TRIGGERS),
    "webhook": "write what starts runs below `triggers:`, for example `triggers: {pushed: {webhook: HOOK_SECRET}}`",
    "retry": "for all steps, write `defaults: {retry: 3}`",
    **dict.fromkeys(
        ("max_parallel", "max_concurrency", "parallelism", "max_workers"),
        "for all steps of a run, write `defaults: {max_parallel: 4}`",
    ),
    **dict.fromkeys(("concurrency-group", "concurrency_group"), _RUNS),
    "strategy": "to run a step for each combination of values, write `for_each: {matrix: {...}}` in the step",
    "with": "values for the runs are `inputs:` of the file; values for a tool are `parameters:` of its step",
    "compensate": "remove it: a run that fails undoes its steps with an `undo:`; `compensate: true` is for a group",
}
"""What to write instead of keys at the top of a file."""

_NOT_IN_STEPS = {
    **dict.fromkeys(("concurrency-group", "concurrency_group"), _RUNS),
    **dict.fromkeys(
        ("on", "trigger"), "runs are started by `triggers:` at the top of the file; a step has a `condition:`"
    ),
    "env": "an input of the file reads a variable: `inputs: {token: {default_from_env: TOKEN, secret: true}}`; "
    "the step reads the input: `{{ token }}`",
}
"""What to write instead of keys of a step that belong to the file."""

_OF_CONCURRENCY = dict.fromkeys(
    ("cancel-in-progress", "cancel_in_progress"),
    "to have a new run cancel the oldest one, write `on_full: cancel_oldest`",
)


def _of_pipeline(written: str) -> str | None:
    """Return help for a key at the top of a file that belongs elsewhere."""
    if written in _ELSEWHERE:
        return _ELSEWHERE[written]
    key = tables.STEP_KEYS.get(written, written)
    meant = key if key in _allowed(StepSpec) else _MEANT.get(written)
    if meant is None or meant in _with_aliases(PipelineSpec) or key_fields(PipelineSpec).keys() & {written}:
        return None
    if meant not in _allowed(StepSpec) or suggest(written, _with_aliases(PipelineSpec)):
        return None
    return f"`{meant}` is a key of a step: write it below `steps:`, next to an `id`"


@cache
def _listed(allowed: tuple[str, ...], *, of_step: bool) -> str:
    """Return the help that lists the allowed keys; cached, because many diagnostics can share it."""
    return "allowed here: " + quoted_list(name for name in allowed if not of_step or name not in kinds.PARAMETERS)


def meant_key(key: Scalar, model: type[Spec], likely: tuple[str, ...] = ()) -> str | None:
    """Return the key that an unknown key probably means: a close likely one, else any key of the model."""
    allowed, aliases = _allowed(model), _ALIASES.get(model.__name__, {})
    written = written_key(key)
    meant = _MEANT.get(written)
    if meant is not None and (meant in likely or meant in allowed):
        return meant
    every = _with_aliases(model)
    near = (
        suggest(written, likely) or suggest(written, every) or (meant if meant in allowed or meant in aliases else None)
    )
    return aliases.get(near, near) if near else None


@cache
def _with_aliases(model: type[Spec]) -> tuple[str, ...]:
    return (*_allowed(model), *_ALIASES.get(model.__name__, {}))


@cache
def _allowed(model: type[Spec]) -> tuple[str, ...]:
    also = key_fields(CallSpec) if model is StepSpec else ()
    return (*(name for name in key_fields(model) if name not in _hidden(model)), *also)


def _hidden(model: type[Spec]) -> frozenset[str]:
    return frozenset({"kind", "target"}) if model is OnFailureSpec else frozenset()


def missing_key(source: Source, node: Mapping, name: str, what: str) -> Diagnostic:
    """Return a diagnostic for a missing key."""
    entries = node.entries
    span = entries[0].key.span if entries else first_line_of(node.span)
    examples = {
        "prompt": "add `prompt:` with the question",
        "title": "add `title:` with what to approve",
        "stop": "add `stop:` with the number where the range ends",
        "id": "add `id:` with a short name, for example `id: fetch`",
        "value": "add `value:` with a template",
        "rubric": "add `rubric:` with the criteria for the output",
        "after": "add `after:` with how long to wait for an answer, for example `after: 5d`",
        "to": "add `to:` with the people or groups who are asked then, for example `to: director`",
    }
    if name == "id" and (title := name_as_id(node)):
        examples["id"] = f"write `id: {title}`: other steps refer to a step by its `id`; a `name` is only displayed"
    return Diagnostic(
        codes.MISSING_KEY,
        f"{what} has no `{name}`",
        source,
        span,
        label=f"`{name}` is missing",
        help=examples.get(name, f"add `{name}:`"),
    )


def name_as_id(node: Mapping) -> str | None:
    """Return the `name` of a step if it is a valid id: in a step without an id it is probably meant as one."""
    title = node.get("name")
    if isinstance(title, Scalar) and isinstance(title.value, str) and _IDENTIFIER.fullmatch(title.value):
        return title.value
    return None


def conflicting_keys(source: Source, found: Clash, what: str) -> Diagnostic:
    """Return a diagnostic for two spellings of the same key."""
    first, second = written_key(found.first), written_key(found.second)
    if first == second:
        message, help = f"`{first}` is written twice in {what}", "remove one of the two"
    else:
        message = f"`{first}` and `{second}` mean the same thing in {what}"
        help = f"keep one of the two; `{found.canonical}` is the canonical spelling"
    return Diagnostic(
        codes.CONFLICTING_KEYS,
        message,
        source,
        found.second.span,
        label=f"the same as `{first}`",
        help=help,
        related=(Related("first written here", source, found.first.span),),
    )


def first_line_of(span: Span) -> Span:
    """Return the start of a span of several lines, else the span."""
    if span.end.line == span.start.line:
        return span
    return Span.at(span.start.line, span.start.column)

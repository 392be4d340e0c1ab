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
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec
from orchestrator.language.spec.pipeline import HandlerSpec, OnFailureSpec, StepSpec
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
    "loop": "for_each",
    "each": "for_each",
    "items": "for_each",
    "repeat": "until",
    "wait": "sleep",
    "delay": "sleep",
    "approval": "approve",
    "confirm": "approve",
    "goto": "on_success",
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
    "priority": "handlers are tried in the order of the file",
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
    if model is StepSpec:
        for head, part, aliases in (("ask", AskSpec, tables.ASK_KEYS), ("approve", ApproveSpec, {})):
            if head in node.table and (written in key_fields(part) or written in aliases):
                first = "prompt" if head == "ask" else "title"
                return f"write it below `{head}:`: `{head}: {{{first}: ..., {written}: ...}}`"
        if written in kinds.PARAMETERS and not step_keys.heads(node):
            near = suggest(written, kinds.HEADS)
            meant = f"did you mean `{near}`? " if near else ""
            return f"{meant}`{written}` is a parameter of a model call; such a step has a `prompt` or an `action`"
    return None


@cache
def _listed(allowed: tuple[str, ...], *, of_step: bool) -> str:
    """Return the help that lists the allowed keys; cached, because many diagnostics can share it."""
    return "allowed here: " + quoted_list(name for name in allowed if not of_step or name not in kinds.PARAMETERS)


def meant_key(key: Scalar, model: type[Spec], likely: tuple[str, ...] = ()) -> str | None:
    """Return the key that an unknown key probably means: a close likely one, else any key of the model."""
    allowed, aliases = _allowed(model), _ALIASES.get(model.__name__, {})
    written = written_key(key)
    meant = _MEANT.get(written)
    every = _with_aliases(model)
    near = suggest(written, likely) or suggest(written, every) or (meant if meant in allowed else None)
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

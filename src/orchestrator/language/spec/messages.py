"""Says in plain words what the models refuse: which key, what was expected, what stands there, how to mend it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Fix, Related, Source, Span, suggest
from orchestrator.language.aliases import keys
from orchestrator.language.spec import kinds, pipeline
from orchestrator.language.values.durations import FORMS, parse_duration
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence, plain
from orchestrator.text.words import describe_value, quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

_EXPECTED = {
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "finite_number": "a number",
    "tuple_type": "a list",
}

_FIELD_EXPECTED = {
    "for_each": "a template, a list, a mapping, `{range: 10}` or `{file: rows.jsonl}`",
    "while": "an expression or true/false",
    "until": "an expression or true/false",
    "switch": "an expression or a value",
    "pipeline": "the path of a pipeline file",
    "wait_for": "`all`, `any` or a number of steps",
    "ask": "a question, or a mapping such as `{prompt: ..., type: integer}`",
    "approve": "a title, or a mapping such as `{title: ..., content: ...}`",
    "wait_until": "a time such as `2030-12-01T09:00`, or a template",
    "sleep": "a duration such as `5m`, or a template",
    "on_error": "a handler or a list of them",
    "on_item_failure": "`fail`, `continue` or `{value: ...}`",
    "cache": "true, false, or a mapping such as `{ttl: 1d}`",
    "stop": "an integer or a template",
    "start": "an integer or a template",
    "step": "an integer or a template",
    "retry": "a number of attempts or a mapping such as `{max_attempts: 3, delay: 2s}`",
    "on_failure": "`fail`, `continue`, the id of a later step, or `{value: ...}`",
    "condition": "an expression or true/false",
    "dependencies": "a list of step ids",
    "on": "a list of error codes",
    "budget": "an amount in USD, or a mapping such as `{usd: 2, tokens: 100000}`",
    "check": "an expression, a list of them, or a mapping such as `{that: [...], judge: ...}`",
    "judge": "a rubric, or a mapping such as `{rubric: ..., min_score: 0.8}`",
    "that": "an expression or a list of them",
    "model": "a model's name or a list of them",
    "orchestrator": "a model's name or a list of them",
    "experts": "a mapping from actions to models, such as `{summarize: auto}`",
}

BUDGET_HELP = "write what may be spent at most: `budget: 2` in USD, or `budget: {usd: 2, tokens: 100000, requests: 50}`"
CHECK_HELP = "write what must be true of the output: `check: output | length > 100`, or a `schema`, or a `judge`"

_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""What other readers of YAML take for true and false."""

_ONLY = {"continue_on_error": "true or false"}  # spellings that are kept as written only if their value is wrong

_ALIASES: dict[str, dict[str, str]] = {
    "PipelineSpec": keys.PIPELINE_KEYS,
    "StepSpec": keys.STEP_KEYS,
    "InputSpec": keys.INPUT_KEYS,
    "OutputSpec": keys.OUTPUT_KEYS,
    "RetrySpec": keys.RETRY_KEYS,
    "DefaultsSpec": keys.DEFAULTS_KEYS,
    "CheckSpec": keys.CHECK_KEYS,
    "AskSpec": keys.ASK_KEYS,
    "ApproveSpec": keys.APPROVE_KEYS,
    "HandlerSpec": keys.HANDLER_KEYS,
}

# What people write for a key when they know another tool.
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


def expected(key: str) -> str:
    """What the value of a step's key must be, in words."""
    return _FIELD_EXPECTED[key]


_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HANDLERS_ELSEWHERE = {
    "priority": "handlers are tried in the order in which they stand",
    **dict.fromkeys(("retry_with_handler", "max_handler_retries"), "to try the step again write `retry: 2`"),
    "handler_task_id": "write the steps that handle the error below `steps:`; to jump to one write `on_failure: id`",
    "error_codes": "write codes among the `error_types`, or look for them in the message with `error_patterns`",
    "condition": "write it at the steps below `steps:`; `error` can be read there",
    "enabled": "write `condition:` at the steps below `steps:`; `error` can be read there",
}


def refused(
    error: ValidationError, node: Mapping, model: type[pipeline.Spec], what: str, source: Source, whole: Mapping
) -> Refusal:
    """Translate what the model refused in `node`; `what` names the thing for the message: "step `a`".

    `whole` is the thing with all of its parts.
    """
    refusal = Refusal(source, whole)
    seen: set[tuple[int | str, ...]] = set()
    for entry in error.errors(include_url=False):
        path, key, value = _place(node, entry["loc"])
        if path in seen:  # the members of a union each complain
            continue
        seen.add(path)
        owner = _model_at(model, entry["loc"][: max(len(path) - 1, 0)])
        refusal.add(entry, path, key, value, node, owner, what)
    return refusal


class Refusal:
    """The diagnostics for what was refused, and the paths of the keys to leave out so that the rest can be used."""

    def __init__(self, source: Source, whole: Mapping) -> None:
        self.source = source
        self.whole = whole
        self.diagnostics: list[Diagnostic] = []
        self.paths: list[tuple[int | str, ...]] = []
        self.missing: list[str] = []

    def add(
        self,
        entry: Any,
        path: tuple[int | str, ...],
        key: Scalar | None,
        value: Node | None,
        node: Mapping,
        owner: type[pipeline.Spec],
        what: str,
    ) -> None:
        """Add one complaint of the model."""
        kind: str = entry["type"]
        if kind == "missing":
            name = str(entry["loc"][-1])
            self.missing.append(name)
            self.diagnostics.append(missing_key(self.source, node, name, what))
            return
        self.paths.append(path)
        if key is not None and value is not None and key.text in _ONLY:
            message = f"`{key.text}` must be {_ONLY[key.text]}, not {describe_value(plain(value))}"
            label = f"expected {_ONLY[key.text]}"
            self.diagnostics.append(
                Diagnostic(codes.WRONG_TYPE, message, self.source, _one_line(value.span), label=label)
            )
            return
        if kind == "extra_forbidden" and key is not None:
            self.diagnostics.append(unknown_key(self.source, key, owner, what, self.whole))
            return
        name = keys.written(key) if key is not None else str(path[-1] if path else "")
        if isinstance(path[-1] if path else None, int):
            name = f"{name}` item {int(path[-1]) + 1} `".strip(" `") if path else name
        if type(key) is Scalar and key.style == "synthetic" and len(path) > 1:  # inside a short form: `retry: 0`
            name = str(path[-2])
        if type(key) is Scalar and key.style == "synthetic" and len(path) == 1 and owner is pipeline.BudgetSpec:
            name = "budget"
        span = value.span if value is not None else node.span
        code, expected, help = _complaint(kind, entry, path, owner)
        given = plain(value) if value is not None else entry["input"]
        if help is None and "true" in expected and str(given).lower() in _BOOLEANS:
            help = f"write `{_BOOLEANS[str(given).lower()]}`: in YAML 1.2, `{given}` is a text"
        name = shorten(name)
        message = f"`{name}` must be {expected}, not {describe_value(given)}"
        if given is None:
            message = f"`{name}` has no value; it must be {expected}"
            span = key.span if key is not None else span
        elif code == codes.INVALID_DURATION:
            message = f"`{name}` is no duration: {_reason(given)}"
        self.diagnostics.append(
            Diagnostic(code, message, self.source, _one_line(span), label=f"expected {expected}", help=help)
        )


def _complaint(
    kind: str, entry: Any, path: tuple[int | str, ...], owner: type[pipeline.Spec]
) -> tuple[str, str, str | None]:
    """Return code, what was expected, and help."""
    context = entry.get("ctx") or {}
    field = str(path[-1]) if path else ""
    if owner is pipeline.BudgetSpec:
        return codes.INVALID_MODEL_OPTIONS, _EXPECTED.get(kind, "a number of at least 0"), BUDGET_HELP
    if path[:1] == ("experts",) and len(path) > 1:
        return codes.WRONG_TYPE, _FIELD_EXPECTED["model"], None
    if kind == "value_error":
        return codes.INVALID_DURATION, FORMS, f"write {FORMS}"
    if field == "wait_for":
        return codes.VALUE_NOT_ALLOWED, _FIELD_EXPECTED[field], None
    if kind == "literal_error":
        info = owner.model_fields.get(field)
        words = _words(info.annotation) if info else []
        near = suggest(str(entry["input"]), words)
        return (
            codes.INVALID_MODEL_OPTIONS if field == "selection" else codes.VALUE_NOT_ALLOWED,
            "one of " + quoted_list(words),
            f"did you mean `{near}`?" if near else None,
        )
    if kind == "greater_than_equal":
        number = "an integer" if isinstance(context.get("ge"), int) and field == "max_attempts" else "a number"
        return codes.VALUE_NOT_ALLOWED, f"{number} of at least {context.get('ge')}", None
    if kind == "less_than_equal":
        help = {"min_success": "0.9 is 90 per cent", "min_score": "scores are from 0 to 1, such as 0.8"}.get(field)
        return codes.VALUE_NOT_ALLOWED, f"a number of at most {context.get('le'):g}", help
    if kind == "too_short":
        return codes.VALUE_NOT_ALLOWED, "a list with at least one item", None
    if field in _FIELD_EXPECTED:
        return codes.WRONG_TYPE, _FIELD_EXPECTED[field], None
    expected = _EXPECTED.get(kind, "another value")
    if kind.startswith("int") and field == "max_attempts":
        expected = "an integer of at least 1"
    help = None
    if kind == "string_type" and isinstance(entry["input"], bool | int | float):
        help = f'put it in quotes if text is meant: "{json.dumps(entry["input"])}"'
    return codes.WRONG_TYPE, expected, help


def _reason(value: Any) -> str:
    try:
        parse_duration(value)
    except ValueError as error:
        return str(error)
    return "it is not understood"


def _words(annotation: Any) -> list[str]:
    found: list[str] = []
    for argument in get_args(annotation):
        if isinstance(argument, str):
            found.append(argument)
        else:
            found += _words(argument)
    return found


def _place(node: Mapping, path: Iterable[int | str]) -> tuple[tuple[int | str, ...], Scalar | None, Node | None]:
    """Follow a path into the tree as far as it goes: the path gone, the last key, and the node there."""
    gone: list[int | str] = []
    key: Scalar | None = None
    here: Node | None = node
    for part in path:
        if isinstance(here, Mapping) and str(part) in here.table:
            entry = here.table[str(part)]
            key, here = entry.key, entry.value
        elif isinstance(here, Sequence) and isinstance(part, int) and part < len(here.items):
            here = here.items[part]
        else:
            break
        gone.append(part)
    return tuple(gone), key, here


_PARTS: dict[str, type[pipeline.Spec]] = {
    "retry": pipeline.RetrySpec,
    "on_failure": pipeline.OnFailureSpec,
    "on_item_failure": pipeline.OnFailureSpec,
    "cache": pipeline.CacheSpec,
    "defaults": pipeline.DefaultsSpec,
    "items": pipeline.InputSpec,
}


def _model_at(model: type[pipeline.Spec], path: Iterable[int | str]) -> type[pipeline.Spec]:
    for part in path:
        model = _PARTS.get(str(part), model)
    return model


def unknown_key(
    source: Source,
    key: Scalar,
    model: type[pipeline.Spec],
    what: str,
    node: Mapping,
) -> Diagnostic:
    """A key that is not part of the language here, with the nearest one that is."""
    written = keys.written(key)
    allowed = kinds.allowed(node) if model is pipeline.StepSpec else _allowed(model)
    advice = _advice(written, model, node)
    near = None if advice else meant_key(key, model, allowed)
    if advice:
        help = advice
    elif near:
        help = f"did you mean `{near}`?"
    else:
        help = _listed(allowed, of_step=model is pipeline.StepSpec)
    return Diagnostic(
        codes.INVALID_MODEL_OPTIONS if model is pipeline.BudgetSpec else codes.UNKNOWN_KEY,
        f"{what} has no key `{shorten(written)}`",
        source,
        key.span,
        label="unknown key",
        help=help,
        fix=Fix(key.span, near) if near else None,
    )


def _advice(written: str, model: type[pipeline.Spec], node: Mapping) -> str | None:
    """What to do about a key that other tools or other places have."""
    if model is pipeline.HandlerSpec:
        return _HANDLERS_ELSEWHERE.get(written)
    if model is pipeline.StepSpec:
        for head, part, aliases in (("ask", pipeline.AskSpec, keys.ASK_KEYS), ("approve", pipeline.ApproveSpec, {})):
            if head in node.table and (written in pipeline.keys(part) or written in aliases):
                first = "prompt" if head == "ask" else "title"
                return f"write it below `{head}:`: `{head}: {{{first}: ..., {written}: ...}}`"
        if written in kinds.PARAMETERS and not kinds.heads(node):
            near = suggest(written, kinds.HEADS)
            meant = f"did you mean `{near}`? " if near else ""
            return f"{meant}`{written}` is for a model; a step that asks one has a `prompt`, or an `action`"
    return None


@cache
def _listed(allowed: tuple[str, ...], *, of_step: bool) -> str:
    """The help that lists keys; it may be that of very many mistakes, so they share it."""
    return "allowed here: " + quoted_list(name for name in allowed if not of_step or name not in kinds.PARAMETERS)


def meant_key(key: Scalar, model: type[pipeline.Spec], likely: tuple[str, ...] = ()) -> str | None:
    """The key of the model that an unknown key probably means; one of the likely ones if it is near to one."""
    allowed, aliases = _allowed(model), _ALIASES.get(model.__name__, {})
    written = keys.written(key)
    meant = _MEANT.get(written)
    every = _with_aliases(model)
    near = suggest(written, likely) or suggest(written, every) or (meant if meant in allowed else None)
    return aliases.get(near, near) if near else None


@cache
def _with_aliases(model: type[pipeline.Spec]) -> tuple[str, ...]:
    return (*_allowed(model), *_ALIASES.get(model.__name__, {}))


@cache
def _allowed(model: type[pipeline.Spec]) -> tuple[str, ...]:
    also = pipeline.keys(pipeline.CallSpec) if model is pipeline.StepSpec else ()
    return (*(name for name in pipeline.keys(model) if name not in _hidden(model)), *also)


def _hidden(model: type[pipeline.Spec]) -> frozenset[str]:
    return frozenset({"kind", "target"}) if model is pipeline.OnFailureSpec else frozenset()


def missing_key(source: Source, node: Mapping, name: str, what: str) -> Diagnostic:
    """A key that must be there."""
    entries = node.entries
    span = entries[0].key.span if entries else _one_line(node.span)
    examples = {
        "prompt": "add `prompt:` with the question",
        "title": "add `title:` with what is to be approved",
        "stop": "add `stop:` with the number where the range ends",
        "id": "add `id:` with a short name, for example `id: fetch`",
        "value": "add `value:` with a template",
        "rubric": "add `rubric:` with what the output must be like",
    }
    if name == "id" and (title := name_as_id(node)):
        examples["id"] = f"write `id: {title}`: other steps read a step by its `id`, and a `name` is only shown"
    return Diagnostic(
        codes.MISSING_KEY,
        f"{what} has no `{name}`",
        source,
        span,
        label=f"`{name}` is missing",
        help=examples.get(name, f"add `{name}:`"),
    )


def name_as_id(node: Mapping) -> str | None:
    """The `name` of a step, if it could be an id: then that is what is meant where there is none."""
    title = node.get("name")
    if isinstance(title, Scalar) and isinstance(title.value, str) and _IDENTIFIER.fullmatch(title.value):
        return title.value
    return None


def clash(source: Source, found: keys.Clash, what: str) -> Diagnostic:
    """Two spellings of one thing in one place."""
    first, second = keys.written(found.first), keys.written(found.second)
    if first == second:
        message, help = f"`{first}` is written twice in {what}", "remove one of the two"
    else:
        message = f"`{first}` and `{second}` mean the same in {what}"
        help = f"keep one of the two; `{found.canonical}` is the usual spelling"
    return Diagnostic(
        codes.CONFLICTING_KEYS,
        message,
        source,
        found.second.span,
        label=f"the same as `{first}`",
        help=help,
        related=(Related("first written here", source, found.first.span),),
    )


def _one_line(span: Span) -> Span:
    """Point to the beginning of what spans several lines."""
    if span.end.line == span.start.line:
        return span
    return Span.at(span.start.line, span.start.column)

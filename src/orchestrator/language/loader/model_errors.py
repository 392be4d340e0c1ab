"""Translates what the models refuse into diagnostics: the key, what was expected, what was found, how to fix it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Source, suggest
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.loader.expected_values import (
    BOOLEAN_WORDS,
    BUDGET_HELP,
    EXPECTED_TYPES,
    EXPECTED_VALUES,
    KEPT_SPELLINGS,
)
from orchestrator.language.loader.key_diagnostics import first_line_of, missing_key, unknown_key
from orchestrator.language.spec.concurrency import ConcurrencySpec
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.language.spec.model_options import BudgetSpec
from orchestrator.language.spec.pipeline import CacheSpec, DefaultsSpec, OnFailureSpec, RetrySpec
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence, plain_data
from orchestrator.text.durations import FORMS, parse_duration
from orchestrator.text.words import describe_value, quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

    from orchestrator.language.spec.base import Spec


def translate_errors(
    error: ValidationError, node: Mapping, model: type[Spec], what: str, source: Source, whole: Mapping
) -> ModelErrors:
    """Translate the validation errors of `node` into diagnostics.

    `what` names the mapping in messages, such as "step `a`"; `whole` is the mapping with all of its parts.
    """
    refusal = ModelErrors(source, whole)
    seen: set[tuple[int | str, ...]] = set()
    for entry in error.errors(include_url=False):
        path, key, value = _place(node, entry["loc"])
        if path in seen:  # every member of a union reports an error
            continue
        seen.add(path)
        owner = _model_at(model, entry["loc"][: max(len(path) - 1, 0)])
        refusal.add(entry, path, key, value, node, owner, what)
    return refusal


class ModelErrors:
    """The diagnostics of the validation errors, and the paths of the keys to remove so that the rest can be used."""

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
        owner: type[Spec],
        what: str,
    ) -> None:
        """Add one validation error."""
        kind: str = entry["type"]
        if kind == "missing":
            name = str(entry["loc"][-1])
            self.missing.append(name)
            self.diagnostics.append(missing_key(self.source, node, name, what))
            return
        self.paths.append(path)
        if key is not None and value is not None and key.text in KEPT_SPELLINGS:
            message = f"`{key.text}` must be {KEPT_SPELLINGS[key.text]}, not {describe_value(plain_data(value))}"
            label = f"expected {KEPT_SPELLINGS[key.text]}"
            self.diagnostics.append(
                Diagnostic(codes.WRONG_TYPE, message, self.source, first_line_of(value.span), label=label)
            )
            return
        if kind == "extra_forbidden" and key is not None:
            self.diagnostics.append(unknown_key(self.source, key, owner, what, self.whole))
            return
        name = written_key(key) if key is not None else str(path[-1] if path else "")
        if type(key) is Scalar and key.style == "synthetic" and len(path) > 1:  # inside a short form: `retry: 0`
            name = str(path[-2])
        if type(key) is Scalar and key.style == "synthetic" and len(path) == 1 and owner in _SHORT_FORMS:
            name = _SHORT_FORMS[owner]
        span = value.span if value is not None else node.span
        code, expected, help = _expectation(kind, entry, path, owner)
        given = plain_data(value) if value is not None else entry["input"]
        if help is None and "true" in expected and str(given).lower() in BOOLEAN_WORDS:
            help = f"write `{BOOLEAN_WORDS[str(given).lower()]}`: in YAML 1.2, `{given}` is text"
        if help is None and path == ("pipeline",) and isinstance(value, Mapping):
            help = "write the inner pipeline into a file, and here its path: `pipeline: ./part.yaml`"
        subject = f"`{shorten(name)}`"
        item = path[-1] if path and isinstance(path[-1], int) else None
        if item is not None:
            subject = f"item {item + 1} of {subject}"
        message = f"{subject} must be {expected}, not {describe_value(given)}"
        if given is None:
            message = f"{subject} has no value; it must be {expected}"
            span = key.span if key is not None and item is None else span
        elif code == codes.INVALID_DURATION:
            message = f"{subject} is not a duration: {_reason(given)}"
        self.diagnostics.append(
            Diagnostic(code, message, self.source, first_line_of(span), label=f"expected {expected}", help=help)
        )


_SHORT_FORMS: dict[type[Spec], str] = {BudgetSpec: "budget", ConcurrencySpec: "concurrency"}
"""The keys whose short forms stand for one of the keys below them."""


def _expectation(kind: str, entry: Any, path: tuple[int | str, ...], owner: type[Spec]) -> tuple[str, str, str | None]:
    """Return the code, the expected value, and the help."""
    context = entry.get("ctx") or {}
    field = str(path[-1]) if path else ""
    if owner is BudgetSpec:
        return codes.INVALID_MODEL_OPTIONS, EXPECTED_TYPES.get(kind, "a number of at least 0"), BUDGET_HELP
    if path[:1] == ("experts",) and len(path) > 1:
        return codes.WRONG_TYPE, EXPECTED_VALUES["model"], None
    if kind == "value_error":
        return codes.INVALID_DURATION, FORMS, f"write {FORMS}"
    if field == "wait_for":
        return codes.VALUE_NOT_ALLOWED, EXPECTED_VALUES[field], None
    if kind == "literal_error":
        info = owner.model_fields.get(field) or owner.model_fields.get(str(path[0]))  # or a key of a mapping
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
        help = {
            "min_success": "0.9 is 90 percent",
            "min_score": "scores are from 0 to 1, such as 0.8",
            "at": "80 percent is `80%` or 0.8",
        }.get(field)
        return codes.VALUE_NOT_ALLOWED, f"a number of at most {context.get('le'):g}", help
    if kind == "too_short":
        return codes.VALUE_NOT_ALLOWED, "a list with at least one item", None
    if field in EXPECTED_VALUES:
        return codes.WRONG_TYPE, EXPECTED_VALUES[field], None
    expected = EXPECTED_TYPES.get(kind, "another value")
    if kind.startswith("int") and field == "max_attempts":
        expected = "an integer of at least 1"
    help = None
    if kind == "string_type" and isinstance(entry["input"], bool | int | float):
        help = f'quote it if it is meant as text: "{json.dumps(entry["input"])}"'
    return codes.WRONG_TYPE, expected, help


def _reason(value: Any) -> str:
    try:
        parse_duration(value)
    except ValueError as error:
        return str(error)
    return "it is not valid"


def _words(annotation: Any) -> list[str]:
    found: list[str] = []
    for argument in get_args(annotation):
        if isinstance(argument, str):
            found.append(argument)
        else:
            found += _words(argument)
    return found


def _place(node: Mapping, path: Iterable[int | str]) -> tuple[tuple[int | str, ...], Scalar | None, Node | None]:
    """Follow a path into the tree as far as possible: return the path followed, the last key, and the node there."""
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


_PARTS: dict[str, type[Spec]] = {
    "retry": RetrySpec,
    "on_failure": OnFailureSpec,
    "on_item_failure": OnFailureSpec,
    "cache": CacheSpec,
    "defaults": DefaultsSpec,
    "items": InputSpec,
}


def _model_at(model: type[Spec], path: Iterable[int | str]) -> type[Spec]:
    for part in path:
        model = _PARTS.get(str(part), model)
    return model

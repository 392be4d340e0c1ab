"""The form that an answer must have: what a pipeline writes of it, as a JSON Schema and as a type; and holding to it.

A form is written short, `{title: string, tags: [string], score: number?, kind: one|two}`, or as a JSON Schema, or both
mixed: the fields of a short form may be JSON Schemas.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.errors import ModelAnswerInvalid, ModelRefused
from orchestrator.expressions.types.assignability import type_mismatches
from orchestrator.expressions.types.integers import with_integers
from orchestrator.expressions.types.schema import from_json_schema
from orchestrator.expressions.types.value_types import Type
from orchestrator.json_schema import ReferenceMissing, ValidationTooLong, faults, modern, violations
from orchestrator.models.output.short_form import Path, SchemaProblem, read_short
from orchestrator.models.output.texts import NOTHING, found_in
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.models.messages import ModelReply

__all__ = ["SchemaError", "SchemaProblem", "Structure", "accepted", "misfits", "problems_of", "structure_of"]

_MOST_REASONS = 5


class SchemaError(ValueError):
    """The schema of an answer is invalid; `problems` has the places and reasons."""

    def __init__(self, problems: list[SchemaProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Structure(Struct, frozen=True):
    """The form of an answer. `schema` is what a value must satisfy, `type` as much of it as a type can hold.

    In a short form a field that may be missing is null when it is. Below the places that are `given` as JSON Schemas,
    nothing is added to a value.
    """

    schema: Mapping[str, Any]
    type: Type
    given: frozenset[Path] = frozenset()


def structure_of(written: Any, *, described: bool = False) -> Structure:
    """Return the schema from its short or full form. `described`: a text that is not a type describes a text field.

    What is written alike is read once: to check a JSON Schema takes milliseconds.

    Raises:
        SchemaError: It is written wrongly.
    """
    try:
        key = repr(written), described
    except RecursionError:
        raise SchemaError(problems_of(written, described=described)) from None
    found = _KNOWN.get(key)
    if found is None:
        schema, given, problems = _read(written, described)
        if problems:
            raise SchemaError(problems)
        schema = copy.deepcopy(schema)
        found = Structure(schema, from_json_schema(schema), given)
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = found
    return found


_KNOWN: Final[dict[tuple[str, bool], Structure]] = {}
_MOST_KNOWN: Final = 10_000


def problems_of(written: Any, *, described: bool = False) -> list[SchemaProblem]:
    """Return what is wrong with the way in which a form is written; nothing, if it is well written."""
    return _read(written, described)[2]


def accepted(structure: Structure, reply: ModelReply) -> Any:
    """Return the value that an answer gives in the form that was asked for.

    Nothing is converted: "3" is not a number. Raises:
        ModelAnswerInvalid: It is cut off, not JSON, or does not match; the message names the place, for the model.
        ModelRefused: The model refused to answer.
    """
    if reply.finish == "refused":
        raise ModelRefused("the model refused to answer", model=reply.model, reply=reply)
    if reply.finish == "length":
        help = "give a larger `max_tokens`, or ask for less"
        raise _invalid(reply, "the answer is cut off, because it reached the most tokens that it may have", help)
    value = found_in(reply.text) if reply.data is None else reply.data
    if value is NOTHING:
        said = f", but: {shorten(reply.text, 200)}" if reply.text.strip() else ", but nothing"
        raise _invalid(reply, f"the answer is not JSON{said}")
    value = _completed(with_integers(value, structure.schema), structure.schema, structure.given, ())
    reasons = misfits(structure, value)
    if reasons:
        raise _invalid(reply, f"the answer does not match the schema: {'; '.join(reasons)}")
    return value


def misfits(structure: Structure, value: Any) -> list[str]:
    """Say in plain words where a value does not satisfy the form; nothing, if it does."""
    try:
        errors = violations(structure.schema, value)
    except (ReferenceMissing, ValidationTooLong) as error:
        return [str(error)]
    if not errors:
        return []
    # The type's words are better; what a type cannot hold, such as limits, only the schema knows.
    said = type_mismatches(value, structure.type) or [_in_words(error) for error in errors]
    return list(dict.fromkeys(said))[:_MOST_REASONS]


def _invalid(reply: ModelReply, message: str, help: str | None = None) -> ModelAnswerInvalid:
    return ModelAnswerInvalid(message, model=reply.model, help=help, reply=reply)


def _completed(value: Any, schema: Mapping[str, Any], given: frozenset[Path], place: Path) -> Any:
    """Put null where a field that may be missing is missing, so that it can be read in any case."""
    if place in given:
        return value
    options = schema.get("anyOf")
    if options:  # of a part that may be null
        return value if value is None else _completed(value, options[0], given, place)
    properties = schema.get("properties")
    if isinstance(value, Mapping) and properties:
        missing = {name: None for name, part in properties.items() if name not in value and _may_be_null(part)}
        completed = {
            name: _completed(item, properties[name], given, (*place, name)) if name in properties else item
            for name, item in value.items()
        }
        return completed | missing
    items = schema.get("items")
    if isinstance(value, list) and items:
        return [_completed(item, items, given, (*place, 0)) for item in value]
    return value


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def _read(written: Any, described: bool) -> tuple[Mapping[str, Any], frozenset[Path], list[SchemaProblem]]:
    """Return the schema of a form, the places in it that were JSON Schemas already, and what is wrong."""
    problems: list[SchemaProblem] = []
    if isinstance(written, bool):
        return ({} if written else {"not": {}}), frozenset({()}), problems
    written = modern(written)
    schema, parts = read_short(written, problems, described=described)
    for path, part in parts:
        problems += [SchemaProblem((*path, *fault.path), fault.message, fault.help) for fault in faults(part)]
    return schema, frozenset(_place(path) for path, _ in parts), problems


def _place(path: Path) -> Path:
    """Where what is written at a place of a short form is in its values."""
    return tuple(0 if isinstance(part, int) else part.strip().removesuffix("?").rstrip() for part in path)


def _in_words(error: Any) -> str:
    """An error of the validator in the words of the other messages: "`score` must be at least 1, not 0"."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    subject = f"`{path}`" if path else "the value"
    template = _LIMITS.get(error.validator)
    if template is None:
        return f"{subject} is wrong: {error.message[:200]}"
    shown = json.dumps(error.instance, ensure_ascii=False, default=str)
    limit = error.validator_value
    return f"{subject} must {template.format(limit)}, not {shown if len(shown) <= 60 else shown[:59] + '…'}"


_LIMITS = {
    "minimum": "be at least {}",
    "maximum": "be at most {}",
    "exclusiveMinimum": "be greater than {}",
    "exclusiveMaximum": "be less than {}",
    "multipleOf": "be a multiple of {}",
    "minLength": "have at least {} characters",
    "maxLength": "have at most {} characters",
    "pattern": "match `{}`",
    "format": "have the format `{}`",
    "minItems": "have at least {} items",
    "maxItems": "have at most {} items",
    "uniqueItems": "have unique items",
}

"""The form that an answer must have: what a pipeline writes of it, as a JSON Schema and as a type; and holding to it.

A form is written short, `{title: string, tags: [string], score: number?, kind: one|two}`, or as a JSON Schema, or both
mixed: the fields of a short form may be JSON Schemas.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import ModelAnswerInvalid, ModelRefused
from orchestrator.expressions.fitting import validate
from orchestrator.expressions.schema import from_json_schema
from orchestrator.expressions.types import Type
from orchestrator.models.short_form import Path, SchemaProblem, is_json_schema, read_short
from orchestrator.models.texts import NOTHING, loaded, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.models.exchange import ModelReply

__all__ = ["SchemaError", "SchemaProblem", "Structure", "accepted", "misfits", "problems_of", "structure_of"]

_MOST_REASONS = 5


class SchemaError(ValueError):
    """The form of an answer is written wrongly; `problems` says where and how."""

    def __init__(self, problems: list[SchemaProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Structure:
    """The form of an answer. `schema` is what a value must satisfy, `type` as much of it as a type can hold.

    In a form that was written `short`, a field that may be missing is null when it is.
    """

    schema: Mapping[str, Any]
    type: Type
    short: bool = False


def structure_of(written: Any, *, described: bool = False) -> Structure:
    """Return the form that is written so. With `described`, a text that is no type is the description of a text.

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
        schema, problems = _read(written, described)
        if problems:
            raise SchemaError(problems)
        schema = copy.deepcopy(schema)
        found = Structure(schema, from_json_schema(schema), short=not is_json_schema(written))
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = found
    return found


_KNOWN: Final[dict[tuple[str, bool], Structure]] = {}
_MOST_KNOWN: Final = 10_000


def problems_of(written: Any, *, described: bool = False) -> list[SchemaProblem]:
    """Return what is wrong with the way in which a form is written; nothing, if it is well written."""
    return _read(written, described)[1]


def accepted(structure: Structure, reply: ModelReply) -> Any:
    """Return the value that an answer gives in the form that was asked for.

    Nothing is converted: "3" is no number. Raises:
        ModelAnswerInvalid: It is cut off, no JSON, or not of this form; the message says where, for the model to read.
        ModelRefused: There is none.
    """
    if reply.finish == "refused":
        raise ModelRefused("the model refused to answer", model=reply.model, reply=reply)
    if reply.finish == "length":
        help = "give a larger `max_tokens`, or ask for less"
        raise _invalid(reply, "the answer is cut off, because it reached the most tokens that it may have", help)
    value = loaded(reply.text) if reply.data is None else reply.data
    if value is NOTHING:
        said = f", but: {short(reply.text)}" if reply.text.strip() else ", but nothing"
        raise _invalid(reply, f"the answer is no JSON{said}")
    if structure.short:
        value = _completed(value, structure.schema)
    reasons = misfits(structure, value)
    if reasons:
        raise _invalid(reply, f"the answer is not of the form that was asked for: {'; '.join(reasons)}")
    return value


def misfits(structure: Structure, value: Any) -> list[str]:
    """Say in plain words where a value does not satisfy the form; nothing, if it does."""
    try:
        errors = sorted(_validator(structure.schema).iter_errors(value), key=lambda error: list(map(str, error.path)))
    except RecursionError:
        return ["the value is nested too deeply"]
    if not errors:
        return []
    # The type's words are better; what a type cannot hold, such as limits, only the schema knows.
    said = validate(value, structure.type) or [_in_words(error) for error in errors]
    return list(dict.fromkeys(said))[:_MOST_REASONS]


def _invalid(reply: ModelReply, message: str, help: str | None = None) -> ModelAnswerInvalid:
    return ModelAnswerInvalid(message, model=reply.model, help=help, reply=reply)


def _completed(value: Any, schema: Mapping[str, Any]) -> Any:
    """Put null where a field that may be missing is missing, so that it can be read in any case."""
    options = schema.get("anyOf")
    if options:
        return value if value is None else _completed(value, options[0])
    properties = schema.get("properties")
    if isinstance(value, Mapping) and properties:
        missing = {name: None for name, part in properties.items() if name not in value and _may_be_null(part)}
        given = {name: _completed(item, properties.get(name, {})) for name, item in value.items()}
        return given | missing
    items = schema.get("items")
    if isinstance(value, list) and items:
        return [_completed(item, items) for item in value]
    return value


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset(
    {
        "items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames",
        "not", "if", "then", "else",
    }
)  # fmt: skip
"""The keys of a JSON Schema below which there are schemas: by name, in a list, or one."""


def _parts(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield a schema and all schemas in it, with their places."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, Mapping):
            for name, part in value.items():
                yield from _parts(part, (*path, key, name))
        elif key in _LISTS and isinstance(value, list):
            for index, part in enumerate(value):
                yield from _parts(part, (*path, key, index))
        elif key in _SINGLE:
            yield from _parts(value, (*path, key))


def _read(written: Any, described: bool) -> tuple[Mapping[str, Any], list[SchemaProblem]]:
    problems: list[SchemaProblem] = []
    schema, embedded = read_short(written, problems, described=described)
    for path, part in embedded:
        problems += _wrong_json_schema(part, path)
    return schema, problems


def _wrong_json_schema(schema: Mapping[str, Any], at: Path) -> list[SchemaProblem]:
    from jsonschema import Draft202012Validator

    wrong = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)
    found = list({problem.path: problem for problem in (_of_meta(error, at) for error in wrong)}.values())
    if found:
        return found
    for path, part in _parts(schema):
        found += _wrong_part(schema, part, (*at, *path))
    if not found:
        try:
            for kind in (str, int, list, dict):
                _validator(schema).is_valid(kind())
        except RecursionError:
            found.append(SchemaProblem(at, "the schema refers to itself without an end", "put something in between"))
    return found


def _of_meta(error: Any, at: Path) -> SchemaProblem:
    """What is wrong with a JSON Schema, as the schema of schemas finds it."""
    path = (*at, *error.absolute_path)
    key = error.absolute_path[-1] if error.absolute_path else ""
    if key == "type":
        help = "the types are `string`, `number`, `integer`, `boolean`, `array`, `object` and `null`"
        return SchemaProblem(path, f"`{error.instance}` is no type of JSON", help)
    if isinstance(error.instance, str) and "object" in error.message:
        help = f"write `{{type: {error.instance}}}` inside of a JSON Schema, or use the short form from the outside in"
        return SchemaProblem(path, f"`{error.instance}` is no JSON Schema", help)
    what = f"`{key}` of the JSON Schema is wrong" if key != "" else "the JSON Schema is wrong"
    return SchemaProblem(path, f"{what}: {error.message[:200]}", "see json-schema.org for what it may be")


def _wrong_part(root: Mapping[str, Any], schema: Mapping[str, Any], path: Path) -> Iterator[SchemaProblem]:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    reference, pattern = schema.get("$ref"), schema.get("pattern")
    if isinstance(reference, str):
        registry: Registry[Any] = Registry().with_resource("", DRAFT202012.create_resource(dict(root)))
        try:
            registry.resolver().lookup(reference)
        except Unresolvable:
            message = f"the schema refers to `{reference}`, which is not in it"
            yield SchemaProblem((*path, "$ref"), message, "put it below `$defs`, and refer to `#/$defs/NAME`")
    if isinstance(pattern, str):
        try:
            re.compile(pattern)
        except re.error as error:
            message = f"`{pattern}` is no regular expression: {error}"
            yield SchemaProblem((*path, "pattern"), message, "write it as Python's `re` takes it")


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An empty registry, because the default one fetches references from the network.
    return Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)


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
    "uniqueItems": "have no item twice",
}

"""The schemas within a schema, and what is wrong with the way in which one is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.json_schema.validation import ValidationTooLong, dialect_of, is_valid, violations
from orchestrator.patterns import PatternError, compile_pattern

Path = tuple[str | int, ...]

MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
SINGLE: Final = frozenset(
    {
        "items", "additionalItems", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties",
        "propertyNames", "not", "if", "then", "else", "contentSchema",
    }
)  # fmt: skip
"""The keys of a JSON Schema below which there are schemas: by name, in a list, or one."""

_JSON_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
_TYPES: Final = "the types are `string`, `number`, `integer`, `boolean`, `array`, `object` and `null`"
_MOST_PARTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """What is wrong with a schema: the keys and indices that lead there, what it is, and how to fix it."""

    path: Path
    message: str
    help: str


def subschemas(schema: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield a schema and all schemas in it, but for `true` and `false`, with their places."""
    pending: list[tuple[Path, Any]] = [((), schema)]
    while pending:
        path, part = pending.pop()
        if not isinstance(part, Mapping):
            continue
        yield path, part
        below: list[tuple[Path, Any]] = []
        for key, value in part.items():
            if key in MAPS and isinstance(value, Mapping):
                below += [((*path, key, name), each) for name, each in value.items()]
            elif key in LISTS and isinstance(value, list):
                below += [((*path, key, index), each) for index, each in enumerate(value)]
            elif key in SINGLE:
                below.append(((*path, key), value))
        pending += reversed(below)


def faults(schema: Any) -> list[SchemaFault]:
    """Return what is wrong with a schema by the schema of its dialect, its patterns and its references."""
    dialect = dialect_of(schema)
    try:
        found = {fault.path: fault for fault in map(_of_meta, violations(dialect.META_SCHEMA, schema))}
        if found:
            return list(found.values())
        return [*_wrong_parts(schema)] or _endless(schema)
    except ValidationTooLong as error:
        return [SchemaFault((), f"the schema cannot be checked: {error}", "make it smaller, or flatter")]


def _of_meta(error: Any) -> SchemaFault:
    """What is wrong with a schema, as the schema of schemas finds it."""
    path = tuple(error.absolute_path)
    key = path[-1] if path else ""
    if key == "type" and path[-2:-1] not in [(each,) for each in MAPS]:
        written = error.instance if isinstance(error.instance, list) else [error.instance]
        wrong = next((each for each in written if each not in _JSON_TYPES), written)
        return SchemaFault(path, f"`{wrong}` is not a type of JSON", _TYPES)
    if isinstance(error.instance, str) and "object" in error.message:
        help = f"write `{{type: {error.instance}}}` inside of a JSON Schema, or use the short form from the outside in"
        return SchemaFault(path, f"`{error.instance}` is not a JSON Schema", help)
    if key == "items" and isinstance(error.instance, list):
        message = "`items` is one schema for all items; a list of schemas is `prefixItems`"
        return SchemaFault(path, message, "write `prefixItems`, or name draft 7 with `$schema`")
    what = f"`{key}` of the JSON Schema is wrong" if key != "" else "the JSON Schema is wrong"
    return SchemaFault(path, f"{what}: {error.message[:200]}", "see json-schema.org for what it may be")


def _wrong_parts(schema: Any) -> Iterator[SchemaFault]:
    for count, (path, part) in enumerate(subschemas(schema)):
        if count > _MOST_PARTS:
            yield SchemaFault((), "the schema has too many parts", "make it smaller")
            return
        expressions = [((*path, "pattern"), part.get("pattern"))]
        named = part.get("patternProperties")
        expressions += [((*path, "patternProperties", each), each) for each in named] if named else []
        for place, expression in expressions:
            if isinstance(expression, str) and (fault := _pattern_fault(expression, place)):
                yield fault
    yield from _missing(schema)


def _pattern_fault(pattern: str, path: Path) -> SchemaFault | None:
    try:
        compile_pattern(pattern, "ecma")
    except PatternError as error:
        message = f"`{pattern[:200]}` is not a regular expression that can be used: {error}"
        return SchemaFault(path, message, error.help or "write it as ECMA-262 (JavaScript) has it")
    return None


def _missing(schema: Any) -> Iterator[SchemaFault]:
    """Find references that lead nowhere, each below the `$id` under which it stands."""
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    if not isinstance(schema, Mapping):
        return
    dialect = dialect_of(schema)
    specification = specification_with(dialect.META_SCHEMA.get("$schema") or dialect.META_SCHEMA["id"])
    root = specification.create_resource(dict(schema))
    resolvers: dict[Path, Any] = {(): REGISTRY.with_resource(root.id() or "", root).resolver(root.id() or "")}
    for path, part in subschemas(schema):
        above = next(resolvers[path[:end]] for end in range(len(path), -1, -1) if path[:end] in resolvers)
        if path and isinstance(part.get("$id"), str):
            above = resolvers[path] = above.in_subresource(specification.create_resource(dict(part)))
        reference = part.get("$ref")
        if isinstance(reference, str):
            try:
                above.lookup(reference)
            except Unresolvable:
                message = f"the schema refers to `{reference[:200]}`, which is not in it"
                yield SchemaFault((*path, "$ref"), message, "put it below `$defs`, and refer to `#/$defs/NAME`")


def _endless(schema: Any) -> list[SchemaFault]:
    try:
        for kind in (str, int, list, dict):
            is_valid(schema, kind())
    except ValidationTooLong:
        return [SchemaFault((), "the schema refers to itself without an end", "put something in between")]
    except Exception as error:  # a reference that leads to something that is not a schema
        return [SchemaFault((), f"the schema cannot be used: {str(error)[:200]}", "check its references")]
    return []

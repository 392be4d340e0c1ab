"""The subschemas of a schema, and the problems of a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from orchestrator.json_schema.validation import ValidationTooLong, dialect_of, violations
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


class SchemaFault(Struct, frozen=True):
    """A problem of a schema: the path of keys and indices, the message, and the help."""

    path: Path
    message: str
    help: str


def subschemas(schema: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield a schema and its subschemas with their paths, except `true` and `false`."""
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
    """Return the problems of a schema: by the meta-schema of its dialect, its patterns and its references."""
    dialect = dialect_of(schema)
    short = _shortened(schema) if dialect.__name__ in _WITH_BOOLEANS else schema
    try:
        found = {fault.path: fault for fault in map(_of_meta, violations(dialect.META_SCHEMA, short))}
        if found:
            return list(found.values())
        return [*_wrong_parts(schema)]
    except ValidationTooLong as error:
        return [SchemaFault((), f"the schema cannot be checked: {error}", "make it smaller, or flatter")]


_WITH_BOOLEANS: Final = ("Draft201909Validator", "Draft202012Validator")
_MOST_SHORTENED: Final = 100  # levels; deeper ones are checked as they are
_NUMBERS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_TEXTS: Final = frozenset({"title", "description", "$ref", "$comment"})


def _shortened(schema: Any, depth: int = 0) -> Any:
    """Return a schema in which `true` replaces those parts that are plainly schemas.

    The schema of schemas takes a tenth of a millisecond for each part, and some schemas have 100,000 alternatives.
    """
    if not isinstance(schema, dict) or depth > _MOST_SHORTENED:
        return schema
    short = {}
    for key, value in schema.items():
        if key in MAPS and isinstance(value, dict):
            value = {name: _shortened(each, depth + 1) for name, each in value.items()}
        elif key in LISTS and isinstance(value, list):
            value = [_shortened(each, depth + 1) for each in value]
        elif key in SINGLE:
            value = _shortened(value, depth + 1)
        short[key] = value
    return True if all(_is_plain(key, value) for key, value in short.items()) else short


def _is_plain(key: str, value: Any) -> bool:
    if key in ("properties", "$defs"):
        return isinstance(value, dict) and all(each is True for each in value.values())
    if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        return isinstance(value, list) and bool(value) and all(each is True for each in value)
    if key in SINGLE:
        return isinstance(value, bool)
    if key == "type":
        return isinstance(value, str) and value in _JSON_TYPES
    if key == "enum":
        return isinstance(value, list)
    if key in _NUMBERS:
        return type(value) in (int, float)
    return key in ("const", "default") or (key in _TEXTS and isinstance(value, str))


def _of_meta(error: Any) -> SchemaFault:
    """Return the problem that the meta-schema finds in a schema."""
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
    yield from _wrong_references(schema)


def _pattern_fault(pattern: str, path: Path) -> SchemaFault | None:
    try:
        compile_pattern(pattern, "ecma")
    except PatternError as error:
        message = f"`{pattern[:200]}` is not a regular expression that can be used: {error}"
        return SchemaFault(path, message, error.help or "write it as ECMA-262 (JavaScript) has it")
    return None


def _wrong_references(schema: Any) -> Iterator[SchemaFault]:
    """Find references that lead nowhere, each below the `$id` under which it stands, and those that never end."""
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    if not isinstance(schema, Mapping):
        return
    dialect = dialect_of(schema)
    specification = specification_with(dialect.META_SCHEMA.get("$schema") or dialect.META_SCHEMA["id"])
    root = specification.create_resource(schema if isinstance(schema, dict) else dict(schema))
    resolver = REGISTRY.with_resource(root.id() or "", root).resolver(root.id() or "")
    targets: dict[int, Any] = {}
    seen: set[int] = set()
    complete = True
    waiting: list[tuple[Path, Any, Any]] = [((), schema, resolver)]  # and what is only reached by a reference
    while waiting:
        top, whole, resolver = waiting.pop()
        resolvers: dict[Path, Any] = {(): resolver}
        for path, part in subschemas(whole):
            above = next(resolvers[path[:end]] for end in range(len(path), -1, -1) if path[:end] in resolvers)
            if path and isinstance(part.get("$id"), str):
                resource = specification.create_resource(part if isinstance(part, dict) else dict(part))
                above = resolvers[path] = above.in_subresource(resource)
            seen.add(id(part))
            reference = part.get("$ref")
            if not isinstance(reference, str):
                continue
            message, help = "", "put it below `$defs`, and refer to `#/$defs/NAME`"
            try:
                found = above.lookup(reference)
            except Unresolvable:
                message = f"the schema refers to `{reference[:200]}`, which is not in it"
            else:
                targets[id(part)] = found.contents
                if not isinstance(found.contents, Mapping | bool):
                    message = f"the schema refers to `{reference[:200]}`, which is not a schema"
                elif id(found.contents) not in seen:
                    seen.add(id(found.contents))
                    if reference.startswith("#"):  # others lead to documents that are known to be right
                        waiting.append(((*top, *path, "$ref"), found.contents, found.resolver))
            if message:
                complete = False
                yield SchemaFault((*top, *path, "$ref"), message, help)
    if complete and _is_endless(schema, targets):
        yield SchemaFault((), "the schema refers to itself without an end", "put something in between")


def _is_endless(schema: Mapping[str, Any], targets: Mapping[int, Any]) -> bool:
    """Whether to check one value a schema is led back to itself, without going into the value."""
    ended: set[int] = set()
    for start in [part for _, part in subschemas(schema)]:
        way: set[int] = set()
        waiting: list[tuple[Any, bool]] = [(start, False)]
        while waiting:
            part, left = waiting.pop()
            if left:
                way.discard(id(part))
                ended.add(id(part))
            elif id(part) in way:
                return True
            elif id(part) not in ended:
                way.add(id(part))
                waiting.append((part, True))
                waiting += ((each, False) for each in _in_place(part, targets) if isinstance(each, Mapping))
    return False


def _in_place(part: Mapping[str, Any], targets: Mapping[int, Any]) -> Iterator[Any]:
    """Return the schemas that also apply to a value that this schema applies to."""
    if id(part) in targets:
        yield targets[id(part)]
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(listed := part.get(key), list):
            yield from listed
    for key in ("not", "if", "then", "else"):
        if key in part:
            yield part[key]
    if isinstance(named := part.get("dependentSchemas"), Mapping):
        yield from named.values()

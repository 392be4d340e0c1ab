"""Converts between types and JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from orchestrator.expressions.types.value_types import ANY, NULL, Kind, Type, type_of, union_of

_KINDS = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def from_json_schema(schema: Mapping[str, Any] | bool) -> Type:
    """Read the parts of a JSON Schema that a `Type` can express; the rest is ignored, never refused.

    `$ref` is followed inside the schema (`#/$defs/Name`); a recursive schema is `any` at the second level.
    """
    return _read(schema, schema if isinstance(schema, Mapping) else {}, ())


def _read(schema: Any, root: Mapping[str, Any], trail: tuple[str, ...]) -> Type:
    if not isinstance(schema, Mapping):
        return ANY
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = _resolve(reference, root)
        return ANY if reference in trail or target is None else _read(target, root, (*trail, reference))
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return union_of(_read(option, root, trail) for option in schema[key])
    parts = schema.get("allOf")
    if isinstance(parts, list):
        return _read(parts[0], root, trail) if len(parts) == 1 else _merge([_read(p, root, trail) for p in parts])
    if "const" in schema:
        return _of_values((schema["const"],))
    if isinstance(schema.get("enum"), list):
        return _of_values(tuple(schema["enum"]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return union_of(_read({**schema, "type": one}, root, trail) for one in kind)
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "any"
    if kind not in _KINDS:
        return ANY
    result = _container(cast("Kind", kind), schema, root, trail)
    return union_of((result, NULL)) if schema.get("nullable") is True else result


def _container(kind: Kind, schema: Mapping[str, Any], root: Mapping[str, Any], trail: tuple[str, ...]) -> Type:
    if kind == "array":
        items = schema.get("items")
        alike = (
            isinstance(items, Mapping) and "prefixItems" not in schema
        )  # otherwise `items` are those after the prefix
        return Type("array", items=_read(items, root, trail) if alike else None)
    if kind == "object":
        properties = schema.get("properties")
        required = schema.get("required")
        return Type(
            "object",
            properties={n: _read(p, root, trail) for n, p in properties.items()}
            if isinstance(properties, Mapping)
            else {},
            required=frozenset(required) if isinstance(required, list) else frozenset(),
            closed=schema.get("additionalProperties") is False and not schema.get("patternProperties"),
        )
    return Type(kind)


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    if not reference.startswith("#"):
        return None
    node: Any = root
    for part in reference[1:].strip("/").split("/") if reference != "#" else ():
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def _of_values(values: tuple[Any, ...]) -> Type:
    kinds = {type_of(value).kind for value in values}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    return Type(kinds.pop() if len(kinds) == 1 else "any", enum=values)


def _merge(parts: list[Type]) -> Type:
    if any(part.kind != "object" for part in parts):
        return ANY
    properties: dict[str, Type] = {}
    for part in parts:
        properties.update(part.properties)
    return Type("object", properties=properties, required=frozenset().union(*(part.required for part in parts)))


def to_json_schema(type_: Type) -> dict[str, Any]:
    """Return a type as a JSON Schema (2020-12), without `attributes`, which are not part of the value."""
    about = {"description": type_.description} if type_.description else {}
    if type_.kind == "union":
        return {"anyOf": [to_json_schema(option) for option in type_.options], **about}
    schema: dict[str, Any] = {**about} if type_.kind == "any" else {"type": type_.kind, **about}
    if type_.enum:
        schema["enum"] = list(type_.enum)
    if type_.items is not None:
        schema["items"] = to_json_schema(type_.items)
    if type_.properties:
        schema["properties"] = {name: to_json_schema(part) for name, part in type_.properties.items()}
    if type_.required:
        schema["required"] = sorted(type_.required)
    if type_.closed:
        schema["additionalProperties"] = False
    return schema

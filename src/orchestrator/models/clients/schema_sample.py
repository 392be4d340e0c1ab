"""A sample of a JSON Schema: a value that satisfies it, for a fake model that has no scripted answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from orchestrator.json_schema import is_valid

Schema = Mapping[str, Any]

_DEEPEST: Final = 12
_MOST_ITEMS: Final = 100
_TEXT: Final = "sample"
_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com",
}


class NoSample(ValueError):
    """No sample of this schema is known, for instance because of a pattern that its text must match."""


def sample_of(schema: Schema) -> Any:
    """Return a JSON value that satisfies a schema; the same each time.

    Raises:
        NoSample: No such value was found.
    """
    for complete in (True, False):
        value = _Sampler(schema, complete).value(schema, 0)
        if is_valid(schema, value):
            return value
    raise NoSample


class _Sampler(Struct, frozen=True):
    """Samples the parts of one schema. `complete`: with optional properties and at least one item for each list."""

    root: Schema
    complete: bool

    def value(self, schema: Any, depth: int) -> Any:
        schema = self._resolved(schema)
        if "default" in schema and self._fits(schema, schema["default"]):
            return schema["default"]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return None if depth > _DEEPEST and None in schema["enum"] else schema["enum"][0]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._branch(schema, key, depth)
        if _is_nullable(schema) and (depth > _DEEPEST or not self.complete):
            return None
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _text(schema)
            case "boolean":
                return False
            case "integer" | "number" as kind:
                return _least_number(schema, kind)
        return None

    def _branch(self, schema: Schema, key: str, depth: int) -> Any:
        common = {name: part for name, part in schema.items() if name != key}
        branches = [{**common, **self._resolved(branch)} for branch in schema[key]]
        if any(_type(branch) == "null" for branch in branches) and (depth > _DEEPEST // 3 or not self.complete):
            return None
        for branch in branches:
            if _type(branch) != "null" and self._fits(branch, value := self.value(branch, depth + 1)):
                return value
        return None

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        names = [*properties, *required] if self.complete and depth <= _DEEPEST // 3 else required
        found = {name: self.value(properties.get(name, {}), depth + 1) for name in dict.fromkeys(names)}
        return {
            name: value
            for name, value in found.items()
            if name in required or self._fits(properties.get(name, {}), value)
        }

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        wanted = max(least, 1) if self.complete and depth <= _DEEPEST // 3 else least
        items = schema.get("items", {})
        return [self.value(items, depth + 1) for _ in range(min(wanted, schema.get("maxItems", wanted), _MOST_ITEMS))]

    def _fits(self, schema: Any, value: Any) -> bool:
        definitions = {key: self.root[key] for key in ("$defs", "definitions") if key in self.root}
        return is_valid({**definitions, **schema} if isinstance(schema, Mapping) else {}, value)

    def _resolved(self, schema: Any) -> Schema:
        """Follow references and merge the parts of `allOf`."""
        if not isinstance(schema, Mapping):
            return {}
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                break
            target = self._target(str(schema["$ref"]))
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**(target if isinstance(target, Mapping) else {}), **rest}
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema.get("allOf", ()):
            each = self._resolved(part)
            properties = {**merged.get("properties", {}), **each.get("properties", {})}
            required = [*merged.get("required", ()), *each.get("required", ())]
            merged = {**merged, **each}
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _target(self, reference: str) -> Any:
        target: Any = self.root
        for part in reference.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key, {}) if isinstance(target, Mapping) and key else target
        return target


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(each) for each in kind if each != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else ""
    return str(kind)


def _is_nullable(schema: Schema) -> bool:
    kind = schema.get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _text(schema: Schema) -> str:
    text = _FORMATS.get(schema.get("format", ""), _TEXT)
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    return (text + "-" * (least - len(text)))[: None if most is None else int(most)]


def _least_number(schema: Schema, kind: str) -> float | int:
    step = schema.get("multipleOf") or (1 if kind == "integer" else None)
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    value: float = 0
    if high is not None or below is not None:
        value = min(
            0, *(each for each in (high, None if below is None else below - (step or 1)) if each is not None), 0
        )
    if low is not None or above is not None:
        least = max(each for each in (low, None if above is None else above + (step or 0)) if each is not None)
        value = max(value, least)
        if above is not None and value <= above:
            value = above + 1 if below is None and high is None else (above + (high if high is not None else below)) / 2
    if step:
        value = math.ceil(value / step) * step
    return int(value) if kind == "integer" or float(value).is_integer() else value

"""Integers written as `2.0`: JSON Schema accepts them as integers, so they are converted to integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

_MOST_STEPS: Final = 1_000_000
_DEEPEST: Final = 200


def with_integers(value: Any, schema: Any) -> Any:
    """Return a value with each whole number as an integer, if its JSON Schema requires an integer there.

    Nothing else is converted, and a valid value stays valid. If references multiply so that following the schema takes
    too long, the rest of the value is left unchanged.
    """
    return _Conversion(schema).of(value, schema, 0)


class _Conversion(Struct):
    """One conversion by a schema; `left` is the number of steps that it may still take."""

    root: Any
    left: int = _MOST_STEPS

    def of(self, value: Any, schema: Any, depth: int) -> Any:
        self.left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self.left < 0:
            return value
        if isinstance(value, float):
            exact = value.is_integer() and abs(value) < 2**53  # a larger one may have lost its fraction
            return int(value) if exact and self._asks(schema, depth) else value
        if isinstance(value, Mapping | list):
            for part in self._parts(schema):
                value = self.of(value, part, depth + 1)
            return self._within(value, schema, depth)
        return value

    def _asks(self, schema: Any, depth: int) -> bool:
        """Whether a schema, or one that applies to the same value, requires an integer."""
        self.left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self.left < 0:
            return False
        kind = schema.get("type")
        asks = kind == "integer" or (isinstance(kind, list) and "integer" in kind)
        return asks or any(self._asks(part, depth + 1) for part in self._parts(schema))

    def _parts(self, schema: Mapping[str, Any]) -> list[Any]:
        """Return the schemas that apply, or may apply, to the same value."""
        several = (schema[key] for key in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(key), list))
        parts = [part for group in several for part in group]
        parts += [schema[key] for key in ("then", "else") if key in schema]
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            found = self.root
            for name in reference[1:].split("/")[1:]:
                name = name.replace("~1", "/").replace("~0", "~")
                found = found.get(name) if isinstance(found, Mapping) else None
            parts.append(found)
        return parts

    def _within(self, value: Any, schema: Mapping[str, Any], depth: int) -> Any:
        """Convert the contents of an object or a list."""
        if isinstance(value, Mapping):
            properties, others = schema.get("properties"), schema.get("additionalProperties")
            known = properties if isinstance(properties, Mapping) else {}
            if not known and not isinstance(others, Mapping):
                return value
            return {name: self.of(item, known.get(name, others), depth + 1) for name, item in value.items()}
        first, rest = schema.get("prefixItems"), schema.get("items")
        first = first if isinstance(first, list) else []
        if not first and not isinstance(rest, Mapping):
            return value
        return [self.of(item, (*first, rest)[min(index, len(first))], depth + 1) for index, item in enumerate(value)]

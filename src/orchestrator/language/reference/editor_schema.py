"""Adapts a JSON Schema for editors: they complete canonical keys and words, each explained in Markdown."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

_DATA: Final = frozenset({"const", "default", "enum", "examples", "required"})
"""Keys of a schema that contain values, not schemas."""

_BY_NAME: Final = frozenset({"$defs", "properties", "patternProperties"})
"""Keys that contain schemas by name."""


def offer_canonical(schema: Schema) -> None:
    """Hide other spellings from completion; they remain valid.

    Editors complete `properties` and `enum`, but not patterns.
    """
    for place in subschemas_of(schema):
        properties = place.get("properties")
        if isinstance(properties, dict):
            others = [name for name, field in properties.items() if field.get("deprecated")]
            if others:
                patterns = place.setdefault("patternProperties", {})
                patterns.update({f"^{re.escape(name)}$": properties.pop(name) for name in others})
        if place.get("deprecated") and isinstance(place.get("enum"), list):
            words = "|".join(re.escape(word) for word in place.pop("enum"))
            place.update(type="string", pattern=f"^({words})$")


def add_explanations(schema: Schema) -> None:
    """Add Markdown descriptions with examples."""
    for place in subschemas_of(schema):
        description = place.get("description")
        if isinstance(description, str):
            place["markdownDescription"] = description + _examples(place)


def subschemas_of(schema: Any) -> Iterator[Schema]:
    """Yield a schema and all of its subschemas."""
    if isinstance(schema, list):
        for item in schema:
            yield from subschemas_of(item)
    elif isinstance(schema, dict):
        yield schema
        for key, value in list(schema.items()):
            if key in _DATA:
                continue
            if key in _BY_NAME and isinstance(value, dict):
                for inner in list(value.values()):
                    yield from subschemas_of(inner)
            elif isinstance(value, dict | list):
                yield from subschemas_of(value)


def _examples(place: Schema) -> str:
    examples = place.get("examples")
    if not isinstance(examples, list) or not examples:
        return ""
    shown = "\n".join(example if isinstance(example, str) else json.dumps(example) for example in examples)
    return f"\n\nExamples:\n\n```yaml\n{shown}\n```"

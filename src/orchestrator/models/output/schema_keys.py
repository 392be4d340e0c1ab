"""Tells a JSON Schema from the short form of an object whose fields have the names of its keywords."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

JSON_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_TYPE_WORDS: Final = JSON_TYPES | {"any", "str", "text", "float", "int", "bool", "dict", "list"}
_CORE: Final = frozenset(
    {
        "$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef",
        "$recursiveAnchor", "$vocabulary",
    }
)  # fmt: skip
"""One of these makes a schema of an object: no field is called so."""

_FORMAT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def _is_word(value: Any) -> bool:
    """Whether a text could be the type of a field."""
    return isinstance(value, str) and value.strip().removesuffix("?").casefold() in _TYPE_WORDS


def _text(value: Any) -> bool:
    return isinstance(value, str) and not _is_word(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _value(value: Any) -> bool:
    return not _is_word(value)


def _schema(value: Any) -> bool:
    return isinstance(value, bool) or value == {} or is_json_schema(value)


def _schemas(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(each, Mapping | bool) for each in value)


def _items(value: Any) -> bool:
    return _schema(value) or (_list(value) and all(map(_schema, value)) and len(value) > 0)


def _table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, Mapping | bool) for each in value.values())


def _needed(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, list | Mapping | bool) for each in value.values())


def _types(value: Any) -> bool:
    if isinstance(value, str):
        return value in JSON_TYPES
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _format(value: Any) -> bool:
    return _text(value) and _FORMAT.fullmatch(value) is not None


_RULES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": _types,
    "enum": _list,
    "const": _value,
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _schemas),
    **dict.fromkeys(
        ("not", "if", "then", "else", "contains", "propertyNames", "additionalProperties", "unevaluatedProperties",
         "unevaluatedItems", "additionalItems", "contentSchema"),
        _schema,
    ),
    "items": _items,
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "definitions"), _table),
    **dict.fromkeys(("dependentRequired", "dependencies"), _needed),
    "required": _names,
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties",
         "maxProperties", "minimum", "maximum", "multipleOf"),
        _number,
    ),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), lambda value: _number(value) or _flag(value)),
    "uniqueItems": _flag,
    "pattern": _text,
    "format": _format,
}  # fmt: skip
"""The types of the keywords that constrain values."""

_NOTES: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("title", "description", "$comment", "contentEncoding", "contentMediaType"), _text),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "nullable"), _flag),
    "default": _value,
    "examples": _list,
}
"""The types of the keywords that describe the schema itself."""

KEYWORDS: Final = _CORE | _RULES.keys() | _NOTES.keys()
_LABELS: Final = ("title", "description", "pattern", "format")


def is_json_schema(written: Any, *, described: bool = False, root: bool = False) -> bool:
    """Whether this is a JSON Schema, and not the short form of an object that has fields of these names.

    All of its keys are keywords, each with a value that it may have, and one constrains values: `type`,
    `items`, `minLength`, ... With `title: string` next to `type: string`, these are the names of fields. Where
    the types of fields may be `described` in words, the `root` is only a schema if more than a text makes it one.
    """
    if not isinstance(written, Mapping) or not all(isinstance(key, str) for key in written):
        return False
    if written.keys() & _CORE:
        return True
    if not all(key in KEYWORDS or key.startswith("x-") for key in written):
        return False
    if any(_is_word(written.get(label)) for label in _LABELS):
        return False
    kind = written.get("type")
    if isinstance(kind, str):
        return kind in JSON_TYPES  # and what else is wrong with it is reported
    if not all(rule(written[key]) for key, rule in (*_RULES.items(), *_NOTES.items()) if key in written):
        return False
    said = written.keys() & _RULES.keys()
    if described and root:
        return any(not isinstance(written[key], str) for key in said)
    return bool(said)

"""The types of values: JSON types with as much of a schema as is known. Used by inputs, tools and expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct, field

from orchestrator.text.words import quoted_list, word_list

Kind = Literal["any", "null", "boolean", "integer", "number", "string", "array", "object", "union"]


class Type(Struct, frozen=True):
    """The type of a JSON value.

    `any` is an unknown type, assignable to everything. An object without `properties` has unknown fields; with `closed`
    it has only the listed fields. `attributes` are names that `.name` finds before the fields of the value: a step has
    them (`.result`, `.status`, ...), and the type then describes the primary value of the step. `description` documents
    the value and does not affect equality.
    """

    kind: Kind = "any"
    items: Type | None = None
    properties: Mapping[str, Type] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    options: tuple[Type, ...] = ()
    enum: tuple[Any, ...] = ()
    attributes: Mapping[str, Type] = field(default_factory=dict)
    description: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and all(getattr(self, name) == getattr(other, name) for name in _COMPARED)


_COMPARED: Final = tuple(name for name in Type.__struct_fields__ if name != "description")

ANY = Type()
NULL = Type("null")
BOOLEAN = Type("boolean")
INTEGER = Type("integer")
NUMBER = Type("number")
STRING = Type("string")
ARRAY = Type("array")
OBJECT = Type("object")

_SCALARS: dict[type, Type] = {type(None): NULL, bool: BOOLEAN, int: INTEGER, float: NUMBER, str: STRING}
_MAX_DEPTH = 20
_MAX_ITEMS = 200


def array_of(items: Type) -> Type:
    """Return the type of a list whose items have this type."""
    return Type("array", items=items)


def object_of(properties: Mapping[str, Type], *, required: frozenset[str] | None = None, closed: bool = True) -> Type:
    """Return the type of an object with these fields; by default all are required, and no others are allowed."""
    return Type(
        "object",
        properties=dict(properties),
        required=frozenset(properties) if required is None else required,
        closed=closed,
    )


def union_of(types: Iterable[Type]) -> Type:
    """Return the union of types; `any` absorbs the others, and duplicates are removed."""
    options: list[Type] = []
    for candidate in types:
        for option in candidate.options if candidate.kind == "union" else (candidate,):
            if option.kind == "any" and not option.attributes:
                return ANY
            if option not in options:
                options.append(option)
    if INTEGER in options and NUMBER in options:
        options.remove(INTEGER)
    if not options:
        return ANY
    return options[0] if len(options) == 1 else Type("union", options=tuple(options))


def type_of(value: Any, *, depth: int = 0) -> Type:
    """Return the type of a JSON value, including the fields of objects and the items of lists.

    Lists of more than 200 items, and levels below the 20th, are not inspected.
    """
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar
    if isinstance(value, Mapping):
        if depth >= _MAX_DEPTH:
            return OBJECT
        return object_of({str(key): type_of(item, depth=depth + 1) for key, item in value.items()})
    if isinstance(value, list | tuple):
        if not value or depth >= _MAX_DEPTH or len(value) > _MAX_ITEMS:
            return ARRAY
        return array_of(union_of(type_of(item, depth=depth + 1) for item in value))
    return ANY


def describe_type(type_: Type, *, depth: int = 0) -> str:
    """Describe a type in words, with its article: "a list of strings", "an object with `a`, `b`"."""
    if type_.enum:
        return _one_of(type_.enum)
    if type_.kind == "array":
        if type_.items is None or type_.items.kind == "any" or depth > 2:
            return "a list"
        return f"a list of {_plural(type_.items, depth + 1)}"
    if type_.kind == "object":
        return f"an object{_fields(type_)}"
    if type_.kind == "union":
        words = list(dict.fromkeys(describe_type(option, depth=depth + 1) for option in type_.options))
        return word_list(words, last="or")
    return _WORDS[type_.kind]


_WORDS = {
    "any": "any value",
    "null": "null",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
}
_PLURALS = {
    "any": "any values",
    "null": "nulls",
    "boolean": "booleans",
    "integer": "integers",
    "number": "numbers",
    "string": "strings",
    "array": "lists",
    "object": "objects",
}


def _plural(type_: Type, depth: int) -> str:
    if type_.kind == "array" and type_.items is not None and type_.items.kind != "any" and depth <= 2:
        return f"lists of {_plural(type_.items, depth + 1)}"
    if type_.kind == "object":
        return f"objects{_fields(type_)}"
    if type_.kind == "union":
        words = list(dict.fromkeys(_plural(option, depth + 1) for option in type_.options))
        return word_list(words, last="or")
    return _PLURALS[type_.kind]


def _fields(type_: Type) -> str:
    return f" with {quoted_list(type_.properties, most=8)}" if type_.properties else ""


def _one_of(values: tuple[Any, ...]) -> str:
    if len(values) == 1:
        return f"`{_spelled(values[0])}`"
    shown = ", ".join(f"`{_spelled(value)}`" for value in values[:8])
    return f"one of {shown}{', ...' if len(values) > 8 else ''}"


def _spelled(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)

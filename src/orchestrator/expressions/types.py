"""The types that values have: JSON's, with as much of a schema as is known. Shared by inputs, tools and expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["any", "null", "boolean", "integer", "number", "string", "array", "object", "union"]


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a JSON value.

    `any` is "not known", and fits everywhere. An object without `properties` has unknown fields; with `closed` it has
    no others than those listed. `attributes` are names that `.name` finds before the fields of the value itself: a
    step has them (`.result`, `.status`, ...), and the type then describes the step's primary value.
    """

    kind: Kind = "any"
    items: Type | None = None
    properties: Mapping[str, Type] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    options: tuple[Type, ...] = ()
    enum: tuple[Any, ...] = ()
    attributes: Mapping[str, Type] = field(default_factory=dict)


ANY = Type()
NULL = Type("null")
BOOLEAN = Type("boolean")
INTEGER = Type("integer")
NUMBER = Type("number")
STRING = Type("string")
ARRAY = Type("array")
OBJECT = Type("object")


def array_of(items: Type) -> Type:
    """A list whose items have this type."""
    return Type("array", items=items)


def object_of(properties: Mapping[str, Type], *, required: frozenset[str] | None = None, closed: bool = True) -> Type:
    """An object with these fields; all of them required unless told, and no others unless told."""
    return Type(
        "object",
        properties=dict(properties),
        required=frozenset(properties) if required is None else required,
        closed=closed,
    )

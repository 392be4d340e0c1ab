"""The operators on types: the static counterpart of the operators on values."""

from __future__ import annotations

from typing import Final

from orchestrator.expressions.types.value_types import ANY, INTEGER, NUMBER, STRING, Type, array_of, union_of

NUMERIC: Final = frozenset({"integer", "number", "boolean"})


def alternatives(type_: Type) -> tuple[Type, ...]:
    """Return the alternatives of a union, or the type itself."""
    return type_.options if type_.kind == "union" else (type_,)


def without_attributes(type_: Type) -> Type:
    """Return the type of the value itself, without the attributes of its entity."""
    if not type_.attributes:
        return type_
    return Type(
        type_.kind,
        items=type_.items,
        properties=type_.properties,
        required=type_.required,
        closed=type_.closed,
        options=type_.options,
        enum=type_.enum,
    )


def comparable(left: Type, right: Type) -> bool:
    """Whether some values of the two types can be ordered."""
    for one in alternatives(left):
        for other in alternatives(right):
            if "any" in (one.kind, other.kind):
                return True
            if one.kind in NUMERIC and other.kind in NUMERIC:
                return True
            if one.kind == other.kind and one.kind in ("string", "array"):
                return True
    return False


def arithmetic(sign: str, left: Type, right: Type) -> Type | None:
    """Return the type of the result, or None if the operator does not support these types."""
    results = []
    for one in alternatives(left):
        for other in alternatives(right):
            result = _one_result(sign, one, other)
            if result is not None:
                results.append(result)
    return union_of(results) if results else None


def _one_result(sign: str, left: Type, right: Type) -> Type | None:
    if "any" in (left.kind, right.kind):
        return ANY
    if left.kind in NUMERIC and right.kind in NUMERIC:
        if sign == "/" or "number" in (left.kind, right.kind):
            return NUMBER
        return ANY if sign == "**" else INTEGER
    if sign == "+":
        if left.kind == right.kind == "string":
            return STRING
        if left.kind == right.kind == "array":
            both = left.items is not None and right.items is not None
            return array_of(union_of([left.items or ANY, right.items or ANY])) if both else Type("array")
    if sign == "*":
        for one, other in ((left, right), (right, left)):
            if one.kind in ("string", "array") and other.kind in ("integer", "boolean"):
                return without_attributes(one)
    return None

"""Help for a filter, a test or a method that is applied to a value of an unsupported kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.types.value_types import Type, describe_type
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.builtin import Builtin

_NUMBERS: Final = frozenset({"integer", "number", "boolean"})
_SIZED: Final = frozenset({"string", "array", "object"})

_NEEDLESS: Final = {
    ("from_json", "object"): "the value is already an object: remove `| from_json`",
    ("from_json", "array"): "the value is already a list: remove `| from_json`",
    ("from_json", "number"): "the value is already a number: remove `| from_json`",
    ("from_json", "integer"): "the value is already a number: remove `| from_json`",
    ("from_json", "boolean"): "the value is already a boolean: remove `| from_json`",
    ("from_json", "null"): "the value is null: remove `| from_json`",
    ("items", "array"): "a list has no field names: loop over the list itself",
    ("dictsort", "array"): "a list has no field names: write `| sort`",
}
"""Needless filters, by filter and kind of value."""

_METHODS: Final = {
    ("items", "array"): "a list has no field names: loop over the list itself",
    ("keys", "array"): "a list has no field names: loop over the list itself",
    ("values", "array"): "a list has no field names: use the list itself",
    ("get", "array"): "read an item by its index: `[0]`",
    ("split", "array"): "the value is already a list: remove `.split()`",
    ("splitlines", "array"): "the value is already a list: remove `.splitlines()`",
    ("join", "array"): "use the filter: `| join(', ')`",
    ("items", "string"): "the value is a string: if it is JSON, add `| from_json` first",
    ("keys", "string"): "the value is a string: if it is JSON, add `| from_json` first",
    ("values", "string"): "the value is a string: if it is JSON, add `| from_json` first",
    ("get", "string"): "the value is a string: if it is JSON, add `| from_json` first",
}


def operand_help(kind: str, entry: Builtin, target: Type, written: str) -> str:
    """Return help on how to apply a filter, test or method. `written` is the value in the template."""
    by_name = (_METHODS if kind == "method" else _NEEDLESS).get((entry.name, target.kind))
    if by_name is not None:
        return by_name
    if written and target.kind == "object" and (fields := _fields(entry, target)):
        return f"read a field of the object: {quoted_list([f'{written}.{name}' for name in fields], most=3)}"
    accepted = set(entry.accepts)
    if kind == "method":
        if entry.name in FILTERS and target.kind == "array":
            return f"apply it to each item: `| map('{entry.name}')`"
        if entry.name in FILTERS and (not FILTERS[entry.name].accepts or target.kind in FILTERS[entry.name].accepts):
            return f"use the filter: `| {entry.name}`"
        if accepted == {"string"} and target.kind in _NUMBERS:
            return f"convert it first: `(value | string).{entry.name}(...)`"
        kinds = " or ".join(describe_type(Type(each)) for each in entry.accepts)
        return f"use it on {kinds}"
    sign = "is" if kind == "test" else "|"
    if accepted >= _NUMBERS and target.kind == "array":
        return f"sum the items, `| sum`, or apply it to each: `| map('{entry.name}')`"
    if accepted >= _NUMBERS:
        return f"convert it first: `| int {sign} {entry.name}` or `| float {sign} {entry.name}`"
    if target.kind in _NUMBERS and "string" in accepted:
        return f"it is a single value: remove `{sign} {entry.name}`, or convert it first with `| string`"
    if target.kind == "null":
        return f"the value is null: provide a default, such as `| default([], true) {sign} {entry.name}`"
    if target.kind in _SIZED and accepted == {"object"}:
        return f"if the value is JSON, write `| from_json {sign} {entry.name}`"
    wanted = " or ".join(describe_type(Type(each)) for each in entry.accepts if each != "boolean")
    return f"use it on {wanted}"


def _fields(entry: Builtin, target: Type) -> list[str]:
    """Return the fields of an object that the filter works on."""
    return [name for name, type_ in target.properties.items() if type_.kind in entry.accepts and name.isidentifier()]

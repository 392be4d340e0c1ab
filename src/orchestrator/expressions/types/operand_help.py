"""What to write where a filter, a test or a method is given a value of a kind that it does not work on."""

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
    ("from_json", "object"): "it is an object already: leave `| from_json` out",
    ("from_json", "array"): "it is a list already: leave `| from_json` out",
    ("from_json", "number"): "it is a number already: leave `| from_json` out",
    ("from_json", "integer"): "it is a number already: leave `| from_json` out",
    ("from_json", "boolean"): "it is true or false already: leave `| from_json` out",
    ("from_json", "null"): "it is null, and no text: leave `| from_json` out",
    ("items", "array"): "a list has no names: loop over the list itself",
    ("dictsort", "array"): "a list has no names: write `| sort`",
}
"""What is done already, by the filter and the kind of value."""

_METHODS: Final = {
    ("items", "array"): "a list has no names: loop over the list itself",
    ("keys", "array"): "a list has no names: loop over the list itself",
    ("values", "array"): "a list has no names: it is its values",
    ("get", "array"): "read an item by its number, `[0]`",
    ("split", "array"): "it is a list already: leave `.split()` out",
    ("splitlines", "array"): "it is a list already: leave `.splitlines()` out",
    ("join", "array"): "use the filter: `| join(', ')`",
    ("items", "string"): "it is a text: if it is JSON, write `| from_json` first",
    ("keys", "string"): "it is a text: if it is JSON, write `| from_json` first",
    ("values", "string"): "it is a text: if it is JSON, write `| from_json` first",
    ("get", "string"): "it is a text: if it is JSON, write `| from_json` first",
}


def operand_help(kind: str, entry: Builtin, target: Type, written: str) -> str:
    """Say how to apply a filter, test or method to what it works on. `written` is the value as the template has it."""
    by_name = (_METHODS if kind == "method" else _NEEDLESS).get((entry.name, target.kind))
    if by_name is not None:
        return by_name
    if written and target.kind == "object" and (fields := _fields(entry, target)):
        return f"read a field of it: {quoted_list([f'{written}.{name}' for name in fields], most=3)}"
    accepted = set(entry.accepts)
    if kind == "method":
        if entry.name in FILTERS and target.kind == "array":
            return f"do so for each item: `| map('{entry.name}')`"
        if entry.name in FILTERS and (not FILTERS[entry.name].accepts or target.kind in FILTERS[entry.name].accepts):
            return f"use the filter: `| {entry.name}`"
        if accepted == {"string"} and target.kind in _NUMBERS:
            return f"make it a text first: `(value | string).{entry.name}(...)`"
        kinds = " or ".join(describe_type(Type(each)) for each in entry.accepts)
        return f"the method is one of {kinds}"
    sign = "is" if kind == "test" else "|"
    if accepted >= _NUMBERS and target.kind == "array":
        return f"add its items up, `| sum`, or do so for each: `| map('{entry.name}')`"
    if accepted >= _NUMBERS:
        return f"convert it first: `| int {sign} {entry.name}` or `| float {sign} {entry.name}`"
    if target.kind in _NUMBERS and "string" in accepted:
        return f"it is a single value: leave `{sign} {entry.name}` out, or make it a text first with `| string`"
    if target.kind == "null":
        return f"it is null: give a value in its place, such as `| default([], true) {sign} {entry.name}`"
    if target.kind in _SIZED and accepted == {"object"}:
        return f"if it is JSON, write `| from_json {sign} {entry.name}`"
    wanted = " or ".join(describe_type(Type(each)) for each in entry.accepts if each != "boolean")
    return f"give it {wanted}"


def _fields(entry: Builtin, target: Type) -> list[str]:
    """The fields of an object on which it would work."""
    return [name for name, type_ in target.properties.items() if type_.kind in entry.accepts and name.isidentifier()]

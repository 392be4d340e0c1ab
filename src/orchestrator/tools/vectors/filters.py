"""Conditions on metadata: read from `where`, and written as SQL with every value and field name bound."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
from orchestrator.text.words import describe_value, quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

_ORDERED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LISTS: Final = ("in", "not_in")
OPERATORS: Final = ("eq", "ne", *_ORDERED, *_LISTS, "contains", "exists")
"""What a field can be compared by."""

_NEVER: Final = "1 = 0"
_ALWAYS: Final = "1 = 1"
_MOST_CONDITIONS: Final = 50
_MOST_VALUES: Final = 1_000
_LONGEST_FIELD: Final = 200

Scalar = str | float | bool | None


class MetadataCondition(Struct, frozen=True):
    """One comparison of a field of the metadata. `values` are those of `in`, else one."""

    field: str
    operator: str
    values: tuple[Scalar, ...]


def read_conditions(where: Mapping[str, Any] | None) -> tuple[MetadataCondition, ...]:
    """Read `{lang: de, year: {gte: 2020}, tag: {in: [a, b]}}`: all of the conditions must be met.

    Raises:
        StepError: It has another form.
    """
    found: list[MetadataCondition] = []
    for field, wanted in (where or {}).items():
        if not field or len(field) > _LONGEST_FIELD or any(_is_unusable(sign) for sign in field):
            message = f"`where` cannot read the field {shorten(ascii(field))}"
            raise _wrong(message, "name a field of the metadata without quotes, backslashes and control characters")
        comparisons = wanted if isinstance(wanted, Mapping) else {"eq": wanted}
        found += [_condition(field, operator, value) for operator, value in comparisons.items()]
    if len(found) > _MOST_CONDITIONS:
        raise _wrong(f"`where` has {len(found)} conditions", f"write at most {_MOST_CONDITIONS}")
    return tuple(found)


def _condition(field: str, operator: str, value: Any) -> MetadataCondition:
    if operator not in OPERATORS:
        near = suggest(operator, OPERATORS)
        help = f"did you mean `{near}`?" if near else f"use {quoted_list(OPERATORS, last='or')}"
        raise _wrong(f"`where` compares `{field}` by the unknown operator `{shorten(operator)}`", help)
    values = value if operator in _LISTS else [value]
    if not isinstance(values, list) or len(values) > _MOST_VALUES:
        raise _wrong(f"`{operator}` of `{field}` needs a list of at most {_MOST_VALUES:,} values", "write a list")
    for each in values:
        problem = None
        if not isinstance(each, str | int | float | bool | None):
            problem = "a text, a number, true, false or null"
        elif isinstance(each, float) and not math.isfinite(each):
            problem = "a finite number"
        elif isinstance(each, str) and any(unicodedata.category(sign) == "Cs" or sign == "\0" for sign in each):
            problem = "a text without NUL and lone surrogates"
        elif operator == "exists" and not isinstance(each, bool):
            problem = "true or false"
        elif operator in _ORDERED and (isinstance(each, bool) or each is None):
            problem = "a number or a text"
        if problem is not None:
            raise _wrong(f"`{operator}` of `{field}` cannot be {describe_value(each)}", f"compare it with {problem}")
    return MetadataCondition(field, operator, tuple(values))


def _is_unusable(sign: str) -> bool:
    return sign in "\"'\\`" or unicodedata.category(sign) in ("Cc", "Cs")


class BoundValues:
    """The values of a statement by their names, `v0`, `v1` and so on."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        """Return what stands for a value in the statement."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def sqlite_condition(condition: MetadataCondition, bound: BoundValues) -> str:
    """Return a condition as SQLite reads it. Texts, numbers and booleans are never equal to each other."""
    if not condition.values:
        return _NEVER if condition.operator == "in" else _ALWAYS
    path = bound.bind(f'$."{condition.field}"')
    kind, value = f"json_type(metadata, {path})", f"json_extract(metadata, {path})"

    def equal(kind: str, value: str, wanted: Scalar) -> str:
        if wanted is None:
            return f"{kind} = 'null'"
        if isinstance(wanted, bool):
            return f"{kind} = {bound.bind('true' if wanted else 'false')}"
        return f"({kind} IN ({_sqlite_kinds(wanted)}) AND {value} = {bound.bind(wanted)})"

    match condition.operator:
        case "exists":
            return f"{kind} IS {'NOT ' if condition.values[0] else ''}NULL"
        case "contains":
            element = equal("e.type", "e.value", condition.values[0])
            inner = f"SELECT 1 FROM json_each(metadata, {path}) AS e WHERE {element}"  # noqa: S608 - values are bound
            return f"({kind} = 'array' AND EXISTS ({inner}))"
        case operator if operator in _ORDERED:
            wanted = condition.values[0]
            return f"({kind} IN ({_sqlite_kinds(wanted)}) AND {value} {_ORDERED[operator]} {bound.bind(wanted)})"
    return _any_of(condition, lambda wanted: equal(kind, value, wanted))


def postgresql_condition(condition: MetadataCondition, bound: BoundValues) -> str:
    """Return a condition as PostgreSQL reads it."""
    if not condition.values:
        return _NEVER if condition.operator == "in" else _ALWAYS
    name = f"CAST({bound.bind(condition.field)} AS text)"
    field = f"(metadata -> {name})"

    def json_of(wanted: Scalar) -> str:
        return f"CAST({bound.bind(json.dumps(wanted, ensure_ascii=False))} AS jsonb)"

    match condition.operator:
        case "exists":
            return f"{'' if condition.values[0] else 'NOT '}jsonb_exists(metadata, {name})"
        case "contains":
            return f"(jsonb_typeof({field}) = 'array' AND {field} @> {json_of(condition.values[0])})"
        case operator if operator in _ORDERED:
            wanted = condition.values[0]
            kind, of = ("string", 'text) COLLATE "C"') if isinstance(wanted, str) else ("number", "numeric)")
            comparison = f"CAST(metadata ->> {name} AS {of} {_ORDERED[operator]} CAST({bound.bind(wanted)} AS {of}"
            return f"(CASE WHEN jsonb_typeof({field}) = '{kind}' THEN {comparison} ELSE false END)"
    return _any_of(condition, lambda wanted: f"{field} = {json_of(wanted)}")


def _any_of(condition: MetadataCondition, equal: Callable[[Scalar], str]) -> str:
    any_of = " OR ".join(map(equal, condition.values))
    return f"({any_of})" if condition.operator in ("eq", "in") else f"(({any_of}) IS NOT TRUE)"


def _sqlite_kinds(wanted: Scalar) -> str:
    return "'text'" if isinstance(wanted, str) else "'integer', 'real'"


def _wrong(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)

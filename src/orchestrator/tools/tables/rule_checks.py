"""The rules that the values of a column keep: a type, a range, a length, a pattern, allowed values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern
from orchestrator.text.words import quoted_list, with_article
from orchestrator.tools.tables.cell_values import TYPES, read_moment, shown_value, value_key
from orchestrator.tools.tables.columns import typed_cell
from orchestrator.tools.tables.invalid_data import bad_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.tools.tables.column_rules import ColumnRules

Check: TypeAlias = "Callable[[Any], str | None]"
"""Returns what is wrong with a value, as the end of a sentence about it; None if nothing is."""

_CELL_TYPES: Final = ("integer", "number", "boolean")
_MOMENTS: Final = ("date", "datetime")


def check_rules(columns: Mapping[str, ColumnRules]) -> None:
    """Refuse rules that no value could keep, or that have no meaning for their type.

    Raises:
        StepError: ORC710, with the column and the rule.
    """
    for name, rules in columns.items():
        for bound in ("minimum", "maximum"):
            _check_bound(name, rules, bound)
        if "pattern" in rules:
            try:
                compile_pattern(rules["pattern"], "python")
            except PatternError as error:
                raise bad_data(f"the `pattern` of `{name}` is invalid: {error}") from error
        for low, high in (("minimum", "maximum"), ("min_length", "max_length")):
            if low in rules and high in rules and _ordered(rules, low) > _ordered(rules, high):
                raise bad_data(f"the `{low}` of `{name}` is greater than its `{high}`")
        if "type" in rules and rules["type"] not in ("string", "array", "date", "datetime"):
            unused = next((rule for rule in ("min_length", "max_length") if rule in rules), None)
            if unused is not None:
                raise bad_data(f"`{unused}` has no meaning for `{name}`, which is of type `{rules['type']}`")
        if "pattern" in rules and rules.get("type", "string") not in ("string", *_MOMENTS):
            raise bad_data(f"`pattern` has no meaning for `{name}`, which is of type `{rules['type']}`")


def _check_bound(name: str, rules: ColumnRules, bound: str) -> None:
    value = dict(rules).get(bound)
    if value is None:
        return
    type_ = rules.get("type")
    if isinstance(value, str):
        if type_ not in _MOMENTS:
            raise bad_data(
                f"the `{bound}` of `{name}` is a text, which bounds only dates and times",
                "set `type: date` or `type: datetime`, or write a number",
            )
        try:
            read_moment(value, type_)
        except ValueError as error:
            raise bad_data(f"the `{bound}` of `{name}` is not {with_article(type_)}: `{value[:40]}`") from error
    elif type_ not in (None, "integer", "number"):
        raise bad_data(f"the `{bound}` of `{name}` is a number, and its values are of type `{type_}`")


def _ordered(rules: ColumnRules, rule: str) -> Any:
    value = dict(rules)[rule]
    return read_moment(value, rules["type"]) if isinstance(value, str) else value


def read_cell(value: Any, type_: str | None) -> Any:
    """Return a cell of a CSV file, where all is text, as a value of its column's type; as it is if it is not one."""
    if isinstance(value, str) and type_ in _CELL_TYPES:
        try:
            return typed_cell(value, type_)  # type: ignore[arg-type] # it is one of these three
        except ValueError:
            return value
    return value


def type_problem(value: Any, type_: str) -> str | None:
    """Return what is wrong with the type of a value; None if nothing is."""
    kind = TYPES.get(type(value), "object")
    if type_ in _MOMENTS:
        if isinstance(value, str):
            try:
                read_moment(value, type_)
            except ValueError:
                return f"is not a {type_} in ISO 8601"
            return None
    elif kind == type_ or (type_ == "number" and kind == "integer"):
        return None
    elif type_ == "integer" and kind == "number" and math.isfinite(value) and value == int(value):
        return None  # 3.0, as JSON has it
    return f"is {with_article(kind)}, not {with_article(type_)}"


def value_checks(rules: ColumnRules) -> list[tuple[str, Check]]:
    """Return the checks of values of the right type, each with the name of its rule."""
    checks: list[tuple[str, Check]] = []
    for bound, sign in (("minimum", -1), ("maximum", 1)):
        if bound in rules:
            checks.append((bound, _bounded_by(dict(rules)[bound], sign, rules.get("type"))))
    if "min_length" in rules:
        checks.append(("min_length", _of_length(rules["min_length"], -1)))
    if "max_length" in rules:
        checks.append(("max_length", _of_length(rules["max_length"], 1)))
    if "pattern" in rules:
        checks.append(("pattern", _matching(rules["pattern"])))
    if "enum" in rules:
        checks.append(("enum", _one_of(rules["enum"])))
    return checks


def _bounded_by(bound: Any, sign: int, type_: str | None) -> Check:
    words = "less" if sign < 0 else "greater"
    if isinstance(bound, str):
        limit = read_moment(bound, type_ or "")

        def check_moment(value: Any) -> str | None:
            try:
                wrong = _beyond(read_moment(value, type_ or ""), limit, sign)
            except TypeError:
                return f"cannot be compared with {bound}: only one of them has a time zone"
            return f"is {'before' if sign < 0 else 'after'} {bound}" if wrong else None

        return check_moment

    def check_number(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"is {with_article(TYPES.get(type(value), 'object'))}, not a number"
        return f"is {words} than {bound}" if _beyond(value, bound, sign) else None

    return check_number


def _beyond(value: Any, limit: Any, sign: int) -> bool:
    return bool(value > limit if sign > 0 else value < limit)


def _of_length(bound: int, sign: int) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str | list):
            return f"is {with_article(TYPES.get(type(value), 'object'))}, which has no length"
        if not _beyond(len(value), bound, sign):
            return None
        return f"has the length {len(value):,}, {'less' if sign < 0 else 'more'} than {bound:,}"

    return check


def _matching(pattern: str) -> Check:
    compiled = compile_pattern(pattern, "python")

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"is {with_article(TYPES.get(type(value), 'object'))}, not a string"
        try:
            return None if compiled.matches(value) else f"does not match `{pattern[:80]}`"
        except SearchTooLong as error:
            raise bad_data(str(error)) from error

    return check


def _one_of(values: list[Any]) -> Check:
    known = set(map(value_key, values))
    named = quoted_list((shown_value(value) for value in values), most=8)

    def check(value: Any) -> str | None:
        return None if value_key(value) in known else f"is not one of {named}"

    return check

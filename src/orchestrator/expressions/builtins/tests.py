"""Tests: `value is name`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.expressions.builtins.builtin import FILTERS, TESTS, BuiltinDecorator, builtin
from orchestrator.expressions.evaluation.operations import COMPARISONS, contains, defined, equal, text_of
from orchestrator.expressions.evaluation.scope import OperationError, Undefined
from orchestrator.expressions.evaluation.text import json_of, plain_value
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import BOOLEAN, Kind

__all__ = ["TESTS"]

_NUMBERS: tuple[Kind, ...] = ("integer", "number", "boolean")


def _test(
    name: str,
    *aliases: str,
    example: tuple[str, str],
    undefined: bool = False,
    absent: bool = False,
    accepts: tuple[Kind, ...] = (),
) -> BuiltinDecorator:
    return builtin(
        TESTS, name, *aliases, result=BOOLEAN, example=example, undefined=undefined, absent=absent, accepts=accepts
    )


@_test("defined", example=("{{ {'a': 1}.b is defined }}", "false"), undefined=True, absent=True)
def _defined(value: Any) -> bool:
    """The value is defined (it may be null). The result of a skipped step is undefined."""
    return type(value) is not Undefined


@_test("undefined", example=("{{ {'a': 1}.b is undefined }}", "true"), undefined=True, absent=True)
def _undefined(value: Any) -> bool:
    """The value is undefined."""
    return type(value) is Undefined


@_test("none", "null", example=("{{ none is none }}", "true"), undefined=True)
def _none(value: Any) -> bool:
    """The value is null."""
    return value is None


@_test("boolean", example=("{{ true is boolean }}", "true"))
def _boolean(value: Any) -> bool:
    """The value is true or false."""
    return isinstance(value, bool)


@_test("true", example=("{{ 1 is true }}", "false"))
def _true(value: Any) -> bool:
    """The value is the boolean true."""
    return value is True


@_test("false", example=("{{ 0 is false }}", "false"))
def _false(value: Any) -> bool:
    """The value is the boolean false."""
    return value is False


@_test("integer", example=("{{ 1.0 is integer }}", "false"))
def _integer(value: Any) -> bool:
    """The value is an integer."""
    return type(value) is int


@_test("float", example=("{{ 1.0 is float }}", "true"))
def _float(value: Any) -> bool:
    """The value is a floating-point number, such as 1.0."""
    return type(value) is float


@_test("number", example=("{{ '1' is number }}", "false"))
def _number(value: Any) -> bool:
    """The value is a number or a boolean (true is 1, false is 0)."""
    return isinstance(value, int | float)


@_test("string", example=("{{ 'a' is string }}", "true"))
def _string(value: Any) -> bool:
    """The value is a string."""
    return isinstance(value, str)


@_test("mapping", "object", example=("{{ {'a': 1} is mapping }}", "true"))
def _mapping(value: Any) -> bool:
    """The value is an object."""
    return isinstance(value, Mapping)


@_test("sequence", example=("{{ [1] is sequence }}", "true"))
def _sequence(value: Any) -> bool:
    """The value has a length: a list, a string or an object."""
    return isinstance(value, list | str | Mapping)


@_test("list", "array", example=("{{ 'abc' is list }}", "false"))
def _list(value: Any) -> bool:
    """The value is a list."""
    return isinstance(value, list)


@_test("iterable", example=("{{ 5 is iterable }}", "false"))
def _iterable(value: Any) -> bool:
    """The value can be looped over: a list, a string or an object."""
    return isinstance(value, list | str | Mapping)


@_test("empty", example=("{{ [] is empty }}", "true"))
def _empty(value: Any) -> bool:
    """The value is null, or an empty string, list or object."""
    return value is None or (isinstance(value, list | str | Mapping) and not value)


@_test("odd", example=("{{ 3 is odd }}", "true"), accepts=_NUMBERS)
def _odd(value: Any) -> bool:
    """The number is odd."""
    return bool(_as_number(value) % 2 == 1)


@_test("even", example=("{{ 3 is even }}", "false"), accepts=_NUMBERS)
def _even(value: Any) -> bool:
    """The number is even."""
    return bool(_as_number(value) % 2 == 0)


@_test("divisibleby", example=("{{ 9 is divisibleby 3 }}", "true"), accepts=_NUMBERS)
def _divisible_by(value: Any, num: Any) -> bool:
    """The number is divisible by the other."""
    if _as_number(num) == 0:
        raise OperationError("division by zero")
    return bool(_as_number(value) % num == 0)


def _as_number(value: Any) -> int | float:
    if not isinstance(value, int | float):
        raise OperationError(f"{describe_data(value)} is not a number")
    return value


@_test("lower", example=("{{ 'abc' is lower }}", "true"))
def _lower(value: Any) -> bool:
    """All letters are lower case, and there is at least one."""
    return text_of(value).islower()


@_test("upper", example=("{{ 'ABC' is upper }}", "true"))
def _upper(value: Any) -> bool:
    """All letters are upper case, and there is at least one."""
    return text_of(value).isupper()


@_test("sameas", example=("{{ 0 is sameas false }}", "false"))
def _same_as(value: Any, other: Any) -> bool:
    """The values are equal and of the same type: 0 differs from false, and 1 from 1.0."""
    value, other = plain_value(defined(value)), plain_value(defined(other))
    return json_of(value, sort_keys=True) == json_of(other, sort_keys=True)


@_test("eq", "equalto", "==", example=("{{ 3 is eq 3 }}", "true"))
def _eq(value: Any, other: Any) -> bool:
    """The values are equal."""
    return equal(value, other)


@_test("ne", "!=", example=("{{ 3 is ne 3 }}", "false"))
def _ne(value: Any, other: Any) -> bool:
    """The values are not equal."""
    return not equal(value, other)


@_test("lt", "lessthan", "<", example=("{{ 3 is lt 4 }}", "true"))
def _lt(value: Any, other: Any) -> bool:
    """The value is less than the other."""
    return COMPARISONS["<"](value, other)


@_test("le", "<=", example=("{{ 3 is le 3 }}", "true"))
def _le(value: Any, other: Any) -> bool:
    """The value is less than or equal to the other."""
    return COMPARISONS["<="](value, other)


@_test("gt", "greaterthan", ">", example=("{{ 3 is gt 4 }}", "false"))
def _gt(value: Any, other: Any) -> bool:
    """The value is greater than the other."""
    return COMPARISONS[">"](value, other)


@_test("ge", ">=", example=("{{ 3 is ge 3 }}", "true"))
def _ge(value: Any, other: Any) -> bool:
    """The value is greater than or equal to the other."""
    return COMPARISONS[">="](value, other)


@_test("in", example=("{{ 2 is in [1, 2] }}", "true"))
def _in(value: Any, seq: Any) -> bool:
    """The value is a substring of the string, an item of the list, or a field name of the object."""
    return contains(seq, value)


@_test("startingwith", example=("{{ 'abc' is startingwith 'ab' }}", "true"))
def _starting_with(value: Any, prefix: Any) -> bool:
    """The string starts with the other."""
    return isinstance(value, str) and isinstance(defined(prefix), str) and value.startswith(prefix)


@_test("endingwith", example=("{{ 'abc' is endingwith 'bc' }}", "true"))
def _ending_with(value: Any, suffix: Any) -> bool:
    """The string ends with the other."""
    return isinstance(value, str) and isinstance(defined(suffix), str) and value.endswith(suffix)


@_test("filter", example=("{{ 'upper' is filter }}", "true"))
def _filter(value: Any) -> bool:
    """A filter with this name exists."""
    return isinstance(value, str) and value in FILTERS

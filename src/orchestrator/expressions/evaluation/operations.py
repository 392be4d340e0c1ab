"""The operators on values, and the lookup of fields and items."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator.expressions.evaluation.scope import (
    NOTHING,
    Entity,
    ItemGroup,
    Loop,
    Namespace,
    OperationError,
    Undefined,
)
from orchestrator.expressions.evaluation.text import check_list_size, check_text_size, plain_value, to_text
from orchestrator.expressions.limits import TOO_LARGE_INTEGER
from orchestrator.expressions.problem import near
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.text.json_text import MAX_DIGITS
from orchestrator.text.words import quoted_list

_VERBS: Final = {
    "+": "added to",
    "-": "subtracted from",
    "*": "multiplied by",
    "/": "divided by",
    "//": "divided by",
    "%": "divided by",
    "**": "raised to the power of",
}


def defined(value: Any) -> Any:
    """Return a value, with an entity replaced by its value. Raises OperationError if it is undefined."""
    if type(value) is Undefined:
        raise OperationError(value.message, value.help)
    if type(value) is Entity:
        return value.value
    return value


def too_large_integer() -> OperationError:
    """Return the error for an integer with too many digits."""
    return OperationError(f"the resulting integer has more than {MAX_DIGITS} digits", "compute with `| float`")


def _bounded(result: Any) -> Any:
    kind = type(result)
    if kind is int:
        if not -TOO_LARGE_INTEGER < result < TOO_LARGE_INTEGER:
            raise too_large_integer()
    elif kind is float:
        if not math.isfinite(result):
            raise OperationError("the resulting number is too large")
    elif kind is complex:
        raise OperationError("the result is not a real number")
    return result


def _numbers(sign: str, left: Any, right: Any, compute: Callable[[Any, Any], Any]) -> Any:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise _unsuited(sign, left, right)
    try:
        return _bounded(compute(left, right))
    except ZeroDivisionError:
        raise OperationError("division by zero", "guard it: `a / b if b else 0`") from None
    except OverflowError:
        raise OperationError("the resulting number is too large") from None


def _unsuited(sign: str, left: Any, right: Any) -> OperationError:
    left, right = defined(left), defined(right)
    help = None
    if sign == "+" and (isinstance(left, str) or isinstance(right, str)):
        help = "to join text use `~`; to compute, convert with `| int` or `| float`"
    elif isinstance(left, str) or isinstance(right, str):
        help = "convert the string with `| int` or `| float`"
    elif left is None or right is None:
        help = "provide a default: `| default(0, true)`"
    if sign in ("+", "-"):
        first, second = right, left
    else:
        first, second = left, right
    return OperationError(f"{describe_data(first)} cannot be {_VERBS[sign]} {describe_data(second)}", help)


def add(left: Any, right: Any) -> Any:
    """`left + right`: numbers, two strings or two lists."""
    kind = type(left)
    if kind is str and type(right) is str:
        check_text_size(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        check_list_size(len(left) + len(right))
        return [*left, *right]
    return _numbers("+", left, right, operator.add)


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    return _numbers("-", left, right, operator.sub)


def multiply(left: Any, right: Any) -> Any:
    """`left * right`: numbers, or a string or list and a repeat count."""
    if isinstance(left, int) and isinstance(right, str | list):
        left, right = right, left
    if isinstance(right, int):
        if isinstance(left, str):
            check_text_size(len(left) * right)
            return left * right
        if isinstance(left, list):
            check_list_size(len(left) * right)
            return list(left) * right
    return _numbers("*", left, right, operator.mul)


def divide(left: Any, right: Any) -> Any:
    """`left / right`, as a floating-point number."""
    return _numbers("/", left, right, operator.truediv)


def floor_divide(left: Any, right: Any) -> Any:
    """`left // right`, rounded down."""
    return _numbers("//", left, right, operator.floordiv)


def remainder(left: Any, right: Any) -> Any:
    """`left % right`."""
    if type(left) is str:
        raise OperationError("`%` does not format text", "use the filter: `'%s of %s' | format(a, b)`")
    return _numbers("%", left, right, operator.mod)


def power(left: Any, right: Any) -> Any:
    """`left ** right`."""
    whole = isinstance(left, int) and isinstance(right, int) and abs(left) > 1
    if whole and (left.bit_length() - 1) * right > TOO_LARGE_INTEGER.bit_length():  # the least size of the result
        raise too_large_integer()
    return _numbers("**", left, right, operator.pow)


ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
    "**": power,
}


def negate(value: Any) -> Any:
    """`-value`."""
    if not isinstance(value, int | float):
        raise OperationError(f"{describe_data(defined(value))} cannot be negated")
    return -value


def unary_plus(value: Any) -> Any:
    """`+value`."""
    if not isinstance(value, int | float):
        raise OperationError(f"unary `+` does not work on {describe_data(defined(value))}")
    return +value


# --- comparison


def equal(left: Any, right: Any) -> bool:
    """`left == right`: compares JSON data; true equals 1 and false equals 0, as in Jinja2."""
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        left, right = plain_value(left), plain_value(right)
    else:
        left, right = defined(left), defined(right)
    return bool(left == right)


def unequal(left: Any, right: Any) -> bool:
    """`left != right`."""
    return not equal(left, right)


def _ordered(left: Any, right: Any, compute: Callable[[Any, Any], Any]) -> bool:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    texts = isinstance(left, str) and isinstance(right, str)
    if not numbers and not texts:
        if not (isinstance(left, list) and isinstance(right, list)):
            raise _unordered(left, right)
        left, right = plain_value(left), plain_value(right)
    try:
        return bool(compute(left, right))
    except TypeError:
        raise _unordered(left, right) from None


def _unordered(left: Any, right: Any) -> OperationError:
    left, right = defined(left), defined(right)
    help = None
    if isinstance(left, str) != isinstance(right, str) and isinstance(left, str | int | float):
        help = "convert the string with `| int` or `| float`" if right is not None else None
    if left is None or right is None:
        help = "provide a default: `| default(0, true)`"
    return OperationError(f"{describe_data(left)} and {describe_data(right)} cannot be ordered", help)


def contains(container: Any, item: Any) -> bool:
    """`item in container`: a substring, an item of a list, or a key of an object."""
    container, item = defined(container), defined(item)
    if isinstance(container, str):
        if not isinstance(item, str):
            raise OperationError(
                f"a string can only contain strings, not {describe_data(item)}", "convert it with `| string`"
            )
        return item in container
    if isinstance(container, list):
        if isinstance(item, list | dict):
            item, container = plain_value(item), plain_value(container)
        return item in container
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    raise OperationError(f"`in` does not work on {describe_data(container)}", "use a string, a list or an object")


COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": equal,
    "!=": unequal,
    "<": lambda left, right: _ordered(left, right, operator.lt),
    "<=": lambda left, right: _ordered(left, right, operator.le),
    ">": lambda left, right: _ordered(left, right, operator.gt),
    ">=": lambda left, right: _ordered(left, right, operator.ge),
    "in": lambda left, right: contains(right, left),
    "not in": lambda left, right: not contains(right, left),
}


# --- fields and items


def read_field(target: Any, name: str, what: str) -> Any:
    """Return `target.name`, without unwrapping an entity. `what` is the source of the target."""
    kind = type(target)
    if kind is dict:
        if name in target:
            return target[name]
        return _no_field(target, name, what)
    if kind is Entity:
        return _entity_field(target, name, what)
    if kind is Undefined:
        raise OperationError(target.message, target.help)
    if target is None:
        return Undefined(
            f"`{what}` is null, so it has no field `{name}`",
            f"provide a default: `{{{{ {what}.{name} | default('...') }}}}`",
        )
    if kind is Loop:
        return target.get(name)
    if kind is Namespace:
        return target.fields[name] if name in target.fields else _no_field(target.fields, name, what)
    if kind is ItemGroup and name in ("grouper", "list"):
        return target[0 if name == "grouper" else 1]
    if isinstance(target, Mapping):
        return target[name] if name in target else _no_field(target, name, what)
    help = "read an item by its index: `[0]`" if isinstance(target, list) else None
    return Undefined(f"`{what}` is {describe_data(target)}, so it has no field `{name}`", help)


def _entity_field(target: Entity, name: str, what: str) -> Any:
    attributes = target.attributes
    if name in attributes:
        found = attributes[name]
        return NOTHING if found is None and target.null_fields else found
    value = target.value
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        if not target.null_fields:
            return _no_field({**value, **dict.fromkeys(attributes)}, name, what, first=value)
    if target.null_fields:
        return NOTHING
    return _no_field(attributes, name, what) if attributes else read_field(value, name, what)


def _no_field(fields: Mapping[str, Any], name: str, what: str, first: Mapping[str, Any] | None = None) -> Undefined:
    names = list(first or fields)
    suggestion = near(name, fields) if len(fields) < 1_000 else None
    help = f"did you mean `{suggestion}`?" if suggestion else None
    if name in ("items", "keys", "values"):
        help = f"call the method: `.{name}()`"
    has = f"it has {quoted_list(names, most=8)}" if names else "it has no fields"
    return Undefined(f"`{name}` is not a field of `{what}`; {has}", help)


def read_item(target: Any, index: Any, what: str) -> Any:
    """Return `target[index]`: a field by name, or an item by index; negative indices count from the end."""
    if type(index) is str:
        return read_field(target, index, what)
    if type(target) is Entity:
        if target.null_fields and target.value is None:
            return NOTHING
        target = target.value
    target, index = defined(target), defined(index)
    if isinstance(target, list | str):
        if type(index) is not int:
            raise OperationError(f"an index must be an integer, not {describe_data(index)}")
        if -len(target) <= index < len(target):
            return target[index]
        return Undefined(f"`{what}` has {_counted(len(target))}, so `[{index}]` is out of range")
    if target is None:
        return Undefined(f"`{what}` is null, so it has no `[{describe_data(index).split('`')[1] if index else 0}]`")
    if isinstance(target, Mapping):
        return Undefined(f"`{what}` has no field {describe_data(index)}: field names are strings")
    raise OperationError(f"{describe_data(target)} has no items")


def _counted(number: int) -> str:
    return {0: "no items", 1: "one item"}.get(number, f"{number:,} items")


def read_slice(target: Any, low: Any, high: Any, step: Any) -> Any:
    """Return `target[low:high:step]` of a string or list."""
    target = defined(target)
    if not isinstance(target, str | list):
        raise OperationError(f"{describe_data(target)} cannot be sliced")
    bounds = [defined(bound) for bound in (low, high, step)]
    for bound in bounds:
        if bound is not None and type(bound) is not int:
            raise OperationError(f"slice bounds must be integers, not {describe_data(bound)}")
    if bounds[2] == 0:
        raise OperationError("the step of a slice cannot be 0")
    return target[slice(*bounds)]


def iterable_items(value: Any) -> list[Any]:
    """Return what a loop iterates over: items of a list, field names of an object, characters of a string."""
    value = defined(value)
    if isinstance(value, list):
        return value
    if isinstance(value, str | Mapping):
        check_list_size(len(value))
        return list(value)
    help = "use an empty list instead: `| default([], true)`" if value is None else None
    raise OperationError(f"{describe_data(value)} cannot be iterated over", help)


def is_true(value: Any) -> bool:
    """Whether a value is true: all values except null, false, 0, and empty or undefined values."""
    return bool(value.value if type(value) is Entity else value)


def text_of(value: Any) -> str:
    """Return a value as text. Raises OperationError if it is undefined."""
    return value if type(value) is str else to_text(defined(value))

"""Renders values as text, and checks the limits of both."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.expressions.evaluation.scope import Entity, Loop, Namespace, OperationError, Undefined
from orchestrator.expressions.limits import MAX_DEPTH, MAX_ITEMS, MAX_LOOKUP, MAX_TEXT

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SCALARS = frozenset({str, int, float, bool, type(None)})


def to_text(value: Any) -> str:
    """Render a value as text: null is empty, lists and objects are JSON, strings are unchanged."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return] # its type is str
    if kind is int:
        return integer_text(value)
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return number_text(value)
    return json_of(value)


def integer_text(value: int) -> str:
    """Return the digits of an integer."""
    try:
        return str(value)
    except ValueError:  # the interpreter's own limit on digits
        raise OperationError("the integer has too many digits to write out") from None


def number_text(value: float) -> str:
    """Return a number as JSON."""
    if not math.isfinite(value):
        raise OperationError("the result is not a finite number")
    return repr(value)


def json_of(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return a value as JSON, on one line unless `indent` is given."""
    value = plain_value(value)
    try:
        if indent is None and not sort_keys:
            return checked_text(_ENCODER.encode(value))
        return checked_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, sort_keys=sort_keys))
    except (ValueError, TypeError):
        raise OperationError("the value cannot be written as JSON: it contains a number that is not finite") from None


def plain_value(value: Any, *, created: bool = True) -> Any:
    """Return a value as JSON data of limited size, with entities replaced by their values.

    Values can share parts, so a small template could build one that is astronomically large when written out. The
    walk counts every part and stops at the limit. The texts of a value that was not `created` by the evaluation, but
    only looked up, may be longer in total.
    """
    if type(value) in _SCALARS:
        return value
    most = MAX_TEXT if created else MAX_LOOKUP
    budget = [MAX_ITEMS, most]
    convert = _weigh(value, budget, MAX_DEPTH)
    if budget[1] < 0:
        raise OperationError(f"the value has more than {most:,} characters")
    return _converted(value) if convert else value


def _weigh(value: Any, budget: list[int], depth: int) -> bool:
    """Count a value against the budget; return whether it contains anything but JSON data, which must be converted."""
    if depth == 0:
        raise OperationError(f"the value is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        budget[0] -= len(value)
        items: Any = value.values()
    elif isinstance(value, list):
        budget[0] -= len(value)
        items = value
    else:
        _refuse(value)
        return True
    if budget[0] < 0:
        raise OperationError(f"the value has more than {MAX_ITEMS:,} parts")
    convert = False
    for item in items:
        kind = type(item)
        if kind is str:
            budget[1] -= len(item)
        elif kind not in _SCALARS:
            convert = _weigh(item, budget, depth - 1) or convert
    return convert


def _refuse(value: Any) -> None:
    if isinstance(value, Undefined):
        raise OperationError(value.message, value.help)
    if isinstance(value, Namespace):
        raise OperationError("a namespace is not a value: read its fields")
    if isinstance(value, Loop):
        raise OperationError("`loop` is not a value: read its fields, such as `loop.index`")
    if not isinstance(value, Entity | Mapping | tuple):
        raise OperationError("the value is not JSON data")


def _converted(value: Any) -> Any:
    if isinstance(value, Entity):
        return _converted(value.value)
    if isinstance(value, Mapping):
        return {key: _converted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_converted(item) for item in value]
    if type(value) not in _SCALARS:
        _refuse(value)
    return value


def checked_text(text: str) -> str:
    """Return a text. Raises OperationError if it is too long."""
    if len(text) > MAX_TEXT:
        raise OperationError(f"the text has more than {MAX_TEXT:,} characters")
    return text


def check_text_size(characters: int) -> None:
    """Refuse a text that would be too long, before it is created."""
    if characters > MAX_TEXT:
        raise OperationError(f"the text would have more than {MAX_TEXT:,} characters")


def check_list_size(items: int) -> None:
    """Refuse a list that would be too long, before it is created."""
    if items > MAX_ITEMS:
        raise OperationError(f"the list would have more than {MAX_ITEMS:,} items")

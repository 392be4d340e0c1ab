"""Converts the result of a Python function to JSON data, or reports which part cannot be converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite, isnan
from pathlib import PurePath
from typing import Any
from uuid import UUID

from orchestrator.text.json_text import MAX_DIGITS
from orchestrator.tools.functions.dataframes import NOT_A_FRAME, rows_of

_TOO_LARGE = 10**MAX_DIGITS

_DEEPEST = 200


class NotJson(ValueError):
    """A part of a result is not JSON data; the message names the part."""


def json_result(value: Any, place: str = "the result") -> Any:
    """Return a copy of `value` as JSON data.

    Dataclasses and models become objects; tuples and sets arrays (sets in sorted order); data frames arrays of objects,
    with null for missing values; paths, dates, durations (ISO 8601), `Decimal` and `UUID` strings; enumeration members
    their values.

    Raises:
        NotJson: A part is not JSON data, such as bytes, NaN or infinity.
    """
    try:
        return _copy(value, 0)
    except _NotPlain:
        return _convert(value, place, 0)


class _NotPlain(Exception):
    """The value is not plain JSON data, so it is converted again with the path of each part."""


def _copy(value: Any, depth: int) -> Any:
    """Copy plain data. Most results are plain, and without paths this is three times as fast."""
    kind = type(value)
    if kind is str:
        if value.isascii() or _is_unicode(value):
            return value
        raise _NotPlain
    if (
        (kind is int and -(2**63) <= value < 2**63)
        or value is None
        or kind is bool
        or (kind is float and isfinite(value))
    ):
        return value
    if depth > _DEEPEST:
        raise _NotPlain
    depth += 1
    if kind is dict:
        return {_plain_key(key): _copy(item, depth) for key, item in value.items()}
    if kind is list:
        return [_copy(item, depth) for item in value]
    raise _NotPlain


def _plain_key(key: Any) -> str:
    if type(key) is str and key.isascii():
        return key
    raise _NotPlain


def _convert(value: Any, place: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, place)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value, place)
    if kind is float:
        return _number(value, place)
    if depth > _DEEPEST:
        raise NotJson(f"{place} is nested more than {_DEEPEST} levels deep")
    if kind is dict:
        return _object(value, place, depth)
    if kind is list or kind is tuple:
        return [_convert(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _convert_other(value, place, depth)


def _object(value: dict[Any, Any], place: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key, place)
        if name in found:
            raise NotJson(f"{place} has two keys that both become `{name}`, such as {key!r}")
        found[name] = _convert(item, f"{place}[{key!r}]", depth + 1)
    return found


def _convert_other(value: Any, place: str, depth: int) -> Any:
    rows = rows_of(value)
    if rows is not NOT_A_FRAME:
        return _convert(rows, place, depth + 1)
    simple = _simple(value, place)
    if simple is not _NOT_SIMPLE:
        return simple
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: _convert(getattr(value, name), f"{place}.{name}", depth + 1) for name in fields}
    if hasattr(value, "model_dump"):
        return _convert(value.model_dump(mode="json"), place, depth + 1)
    if isinstance(value, Mapping):
        return _convert(dict(value), place, depth)
    if isinstance(value, list | tuple):
        return _convert(list(value), place, depth)
    if isinstance(value, set | frozenset):
        items = _convert(list(value), place, depth)
        try:
            return sorted(items)
        except TypeError:
            return sorted(items, key=repr)
    if isinstance(value, bytes | bytearray | memoryview):
        raise NotJson(f"{place} is binary data; decode it, encode it with base64, or write it to a file")
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise NotJson(
        f"{place} is a Python `{name}`, which is not JSON data; return strings, numbers, booleans, None, lists, "
        "dicts, dates, data frames, or a dataclass of those"
    )


_NOT_SIMPLE = object()


def _simple(value: Any, place: str) -> Any:
    """Return a value that becomes a single string or number, or the marker for other values."""
    match value:
        case Enum():
            return _convert(value.value, place, 0)
        case str():
            return _text(str(value), place)
        case int():
            return _integer(int(value), place)
        case float():
            return _number(float(value), place)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case PurePath() | UUID():
            return _text(str(value), place)
        case Decimal():
            if not value.is_finite():
                raise NotJson(f"{place} is {value}, which JSON cannot represent; return null or a string instead")
            return str(value)
    return _NOT_SIMPLE


def _text(value: str, place: str) -> str:
    if value.isascii() or _is_unicode(value):
        return value
    raise NotJson(f"{place} is a string that is not valid Unicode; decode it with `errors='replace'`")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: int, place: str) -> int:
    if -_TOO_LARGE < value < _TOO_LARGE:
        return value
    raise NotJson(f"{place} is an integer of more than {MAX_DIGITS} digits; return it as a string")


def _number(value: float, place: str) -> float:
    if isfinite(value):
        return value
    shown = "NaN" if isnan(value) else "infinity"
    raise NotJson(f"{place} is {shown}, which JSON cannot represent; return null or a string instead")


def _key(key: Any, place: str) -> str:
    if type(key) is str:
        return _text(key, f"a key of {place}")
    if isinstance(key, Enum):
        return _key(key.value, place)
    if isinstance(key, str | PurePath | UUID | date) or (isinstance(key, int) and not isinstance(key, bool)):
        return key.isoformat() if isinstance(key, date) else _text(str(key), f"a key of {place}")
    raise NotJson(f"{place} has the key {key!r}; the keys of an object must be strings")


def _duration(value: timedelta) -> str:
    """ISO 8601, in days and seconds: `P1DT30.5S`."""
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    seconds = f"{value.seconds + value.microseconds / 1e6:.6f}".rstrip("0").rstrip(".")
    return f"{sign}P{value.days}DT{seconds}S"

"""Reads and writes times: ISO text, seconds since the epoch, `strftime` formats."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from orchestrator.expressions.evaluation.scope import OperationError
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.language.values.times import in_zone, parse_time

_DIRECTIVE = re.compile(r"%(-?[A-Za-z%])")
_DIRECTIVES = frozenset("aAbBcdfGHIjmMpSTuUVwWxXyYzZDFRe%")
_WITHOUT_ZERO = frozenset("dmHIMSjy")
_MAX_FORMAT = 200
_FORMS = "a time is ISO text, such as `2026-02-03T04:05:06Z`, or seconds since 1970"


def read_time(value: Any) -> datetime:
    """The time that an ISO text or a number of seconds since 1970 (UTC) means."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, ValueError, OSError):
            raise OperationError(f"{describe_data(value)} is too far away to be a time") from None
    if isinstance(value, str):
        try:
            return parse_time(value)
        except ValueError as error:
            raise OperationError(f"{describe_data(value)} is not a time: {error}", _FORMS) from None
    raise OperationError(
        f"{describe_data(value)} is not a time",
        _FORMS,
    )


def time_in_zone(time: datetime, zone: Any) -> datetime:
    """A time as the clocks of a named zone show it."""
    if not isinstance(zone, str):
        raise OperationError(f"a zone is a string such as `'Europe/Berlin'`, not {describe_data(zone)}")
    try:
        return in_zone(time, zone)
    except ValueError as error:
        raise OperationError(str(error)) from None


def format_time(time: datetime, format: Any) -> str:
    """Write a time in a `strftime` format. `%-d` and the like leave out the leading zero, on every system."""
    if not isinstance(format, str):
        raise OperationError(f"a format is a string such as `'%Y-%m-%d'`, not {describe_data(format)}")
    if len(format) > _MAX_FORMAT:
        raise OperationError(f"a format has at most {_MAX_FORMAT} characters")

    def one(found: re.Match[str]) -> str:
        word = found[1]
        letter = word[-1]
        if letter not in _DIRECTIVES or (len(word) == 2 and letter not in _WITHOUT_ZERO):
            raise OperationError(f"`%{word}` has no meaning in a format", "the directives are those of `strftime`")
        match letter:
            case "%":
                return "%"
            case "Y":
                return f"{time.year:04d}"
            case "F":
                return f"{time.year:04d}-{time.month:02d}-{time.day:02d}"
            case "e":
                return f"{time.day:2d}"
        text = time.strftime(f"%{letter}")
        return text.lstrip("0") or "0" if len(word) == 2 else text

    return _DIRECTIVE.sub(one, format)

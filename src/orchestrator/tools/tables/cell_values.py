"""The values in the cells of a table: their types, what stands for them in a set, how a report shows them."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, Final

TYPES: Final = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
"""The type of a value by its class."""

SHOWN: Final = 100
"""How many characters of a text are shown."""


def value_key(value: Any) -> Any:
    """Return what stands for a value in a set: equal for equal JSON values of the same kind, and for no others."""
    match value:
        case bool():
            return (value,)
        case list() | dict():
            return (json.dumps(value, sort_keys=True), "json")
        case _:
            return value


def read_moment(text: str, type_: str) -> date:
    """Return a date (`2026-01-31`) or a time with its date in ISO 8601.

    Raises:
        ValueError: The text is not one.
    """
    if type_ == "date":
        if len(text) != 10:
            raise ValueError("a date has ten characters")
        return date.fromisoformat(text)
    if len(text) <= 10:
        raise ValueError("a time is missing")
    return datetime.fromisoformat(text)


def shown_value(value: Any) -> Any:
    """Return a value as a report shows it: a long one is cut."""
    match value:
        case str():
            return cut(value, SHOWN)
        case list() | dict():
            text = json.dumps(value, ensure_ascii=False)
            return value if len(text) <= SHOWN else cut(text, SHOWN)
        case _:
            return value


def cut(text: str, most: int) -> str:
    """Return a text, or its beginning; the space in it stays as it is, because it may be what is wrong."""
    return text if len(text) <= most else f"{text[: most - 1]}…"

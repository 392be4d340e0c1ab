"""What a template is evaluated with: names and their values, and the values that exist only while it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Entity:
    """A value with names of its own around it, such as a step.

    The bare name stands for `value`. `.name` and `['name']` find `attributes` first and the fields of `value` then.
    With `null_fields` (a skipped step) any other field is null, however deep, where it would be an error.
    """

    value: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    null_fields: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a template can read (JSON values or `Entity`), and the time that `now()` gives."""

    names: Mapping[str, Any]
    now: datetime


NOTHING = Entity(None, {}, null_fields=True)
"""A null whose fields are null: what a field of a skipped step is."""


class Undefined:
    """The value of a field, item or variable that is not there. False; anything but a test for it is an error."""

    __slots__ = ("help", "message")

    def __init__(self, message: str, help: str | None = None) -> None:
        self.message = message
        self.help = help

    def __bool__(self) -> bool:
        return False


class Failure(Exception):
    """An operation that cannot be done with these values; the caller adds the place and makes it an error."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Group(list[Any]):
    """One group of `groupby`: the pair of its key and its items, which are also `.grouper` and `.list`."""

    __slots__ = ()


class Namespace:
    """What `namespace(...)` gives: named values that `{% set ns.name = ... %}` changes, inside of loops too."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields


class Loop:
    """The variable `loop` inside of a `{% for %}`."""

    __slots__ = ("changed_from", "depth", "index0", "items")

    def __init__(self, items: list[Any], depth: int) -> None:
        self.items = items
        self.depth = depth
        self.index0 = 0
        self.changed_from: Any = self

    def get(self, name: str) -> Any:
        """The value of `loop.name`."""
        position, count = self.index0, len(self.items)
        match name:
            case "index":
                return position + 1
            case "index0":
                return position
            case "first":
                return position == 0
            case "last":
                return position == count - 1
            case "length":
                return count
            case "revindex":
                return count - position
            case "revindex0":
                return count - position - 1
            case "depth":
                return self.depth
            case "depth0":
                return self.depth - 1
            case "previtem":
                return self.items[position - 1] if position else Undefined("there is no item before the first")
            case "nextitem":
                last = position + 1 == count
                return Undefined("there is no item after the last") if last else self.items[position + 1]
        return Undefined(f"`loop` has no `{name}`")


LOOP_FIELDS = (
    *("index", "index0", "first", "last", "length", "revindex", "revindex0"),
    *("depth", "depth0", "previtem", "nextitem"),
)

"""The scope of an evaluation: names and their values, and values that exist only during it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable


class Entity:
    """A value with attributes, such as a step. Immutable.

    The bare name means `value`. `.name` and `['name']` look in `attributes` first, then in the fields of `value`.
    With `null_fields` (a skipped step) any other field is null at any depth, instead of an error.
    With `load` the value is read on every access: it may be too large to keep in memory.
    """

    __slots__ = ("_load", "_value", "attributes", "null_fields")

    def __init__(
        self,
        value: Any = None,
        attributes: Mapping[str, Any] | None = None,
        null_fields: bool = False,
        *,
        load: Callable[[], Any] | None = None,
    ) -> None:
        self._value = value
        self._load = load
        self.attributes: Mapping[str, Any] = attributes or {}
        self.null_fields = null_fields

    @property
    def value(self) -> Any:
        """The value of the bare name."""
        return self._value if self._load is None else self._load()


class Scope(Struct, frozen=True):
    """The names that a template can read (JSON values or `Entity`), and the time that `now()` returns."""

    names: Mapping[str, Any]
    now: datetime


NOTHING = Entity(None, {}, null_fields=True)
"""A null whose fields are null: the value of a field of a skipped step."""


class Undefined:
    """The value of a missing field, item or variable. It is false; any other use is an error."""

    __slots__ = ("help", "message")

    def __init__(self, message: str, help: str | None = None) -> None:
        self.message = message
        self.help = help

    def __bool__(self) -> bool:
        return False


class OperationError(Exception):
    """An operation does not support these values. The caller adds the position and raises EvaluationError."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class ItemGroup(list[Any]):
    """A group of `groupby`: a pair of its key and its items, also available as `.grouper` and `.list`."""

    __slots__ = ()


class Namespace:
    """The value of `namespace(...)`: named values that `{% set ns.name = ... %}` can change, also inside loops."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields


class Loop:
    """The variable `loop` inside a `{% for %}`."""

    __slots__ = ("changed_from", "depth", "index0", "items")

    def __init__(self, items: list[Any], depth: int) -> None:
        self.items = items
        self.depth = depth
        self.index0 = 0
        self.changed_from: Any = self

    def get(self, name: str) -> Any:
        """Return the value of `loop.name`."""
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
                return self.items[position - 1] if position else Undefined("the first item has no previous item")
            case "nextitem":
                last = position + 1 == count
                return Undefined("the last item has no next item") if last else self.items[position + 1]
        return Undefined(f"`loop` has no `{name}`")


LOOP_FIELDS = (
    *("index", "index0", "first", "last", "length", "revindex", "revindex0"),
    *("depth", "depth0", "previtem", "nextitem"),
)

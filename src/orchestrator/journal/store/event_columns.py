"""The columns of an event that are numbers in the store: its run and its place in it as one, and its type.

Rows that are ordered by one integer need no index in SQLite, and the names of types would be a quarter of a short
event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import SmallInteger
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Dialect

    from orchestrator.journal.events import EventType

_EVENTS: Final = 1 << 32
"""The most events of a run, and of runs there are half as many at most: an id has 63 bits."""

N = TypeVar("N", bound=Any)


def event_id(run: N, seq: Any) -> N:
    """Return the id of an event, from the key of its run and its number in it: values, or expressions of SQL."""
    return run * _EVENTS + seq  # type: ignore[no-any-return]


def last_id(run: N) -> N:
    """Return the highest id that an event of a run can have."""
    return event_id(run, _EVENTS - 1)


def seq_of(id: int) -> int:
    """Return the number of an event in its run."""
    return id % _EVENTS


def run_of(id: int) -> int:
    """Return the key of the run of an event."""
    return id // _EVENTS


NUMBERS: Final[Mapping[EventType, int]] = {
    "run.created": 1,
    "run.revised": 2,
    "run.started": 3,
    "run.paused": 4,
    "run.resumed": 5,
    "run.succeeded": 6,
    "run.failed": 7,
    "run.cancelled": 8,
    "run.warning": 9,
    "run.notice": 10,
    "run.notified": 11,
    "run.compensating": 12,
    "run.compensated": 13,
    "run.queued": 14,
    "step.started": 20,
    "step.progress": 21,
    "step.log": 22,
    "step.warning": 23,
    "step.model": 24,
    "step.waiting": 25,
    "step.running": 26,
    "step.answered": 27,
    "step.succeeded": 28,
    "step.failed": 29,
    "step.skipped": 30,
    "step.cancelled": 31,
    "step.requeued": 32,
    "step.file": 33,
    "step.undone": 34,
}
"""The numbers of the types that are recorded. A number is never used for another type."""

_NAMES: Final = {number: name for name, number in NUMBERS.items()}
_UNKNOWN = "unknown."


def number_of(type: str) -> int:
    """Return the number of a type."""
    number = NUMBERS.get(type)  # type: ignore[call-overload] # a later version may have others
    return int(type.removeprefix(_UNKNOWN)) if number is None else number


def name_of(number: Any) -> str:
    """Return the type with a number; one of a later version has a name of its own, such as `unknown.40`."""
    return _NAMES.get(number) or f"{_UNKNOWN}{number}"


class EventTypeColumn(TypeDecorator[str]):
    """A column of types."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """Write the number."""
        return None if value is None else number_of(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str:
        """Read the name."""
        return name_of(value)

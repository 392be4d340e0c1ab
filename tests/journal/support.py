"""What the journal's tests share: making runs, and the words of a run's life."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import event as sqlalchemy_event

from orchestrator.journal import Event, EventType, Lease, NewRun, Owner, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.journal.store.database import Database

_numbers = itertools.count(1)


def new_run(run_id: str | None = None, *, total: int = 10, **changes: Any) -> NewRun:
    """Describe a run with a plan and a source of some size."""
    fields: dict[str, Any] = {
        "run_id": run_id or f"run-{next(_numbers):04d}",
        "pipeline": "report",
        "name": "A report",
        "source_name": "report.yaml",
        "source_text": "steps:\n" + "  - id: a\n" * 50,
        "directory": "/somewhere",
        "digest": "abc",
        "plan": {"steps": [{"id": f"s{i}"} for i in range(50)]},
        "inputs": {"topic": "solar cells", "naïve": "☀"},
        "options": {"max_parallel": 3},
        "now": time.time(),
        "total": total,
        "metadata": {"team": "energy"},
    }
    return NewRun(**(fields | changes))


def create(store: Store, run_id: str | None = None, **changes: Any) -> Lease:
    """Create a run that this process owns."""
    return store.create_run(new_run(run_id, **changes), Owner.current())


def owner_elsewhere(pid: int = 7) -> Owner:
    """An owner on another machine: whether it lives is known from its lease alone."""
    return Owner("elsewhere", pid, "1", "", "another machine")


def event(seq: int, type: EventType, path: str = "", attempt: int = 0, **data: Any) -> Event:
    """An event of the run `r`, a second after the one before."""
    return Event("r", seq, 1000.0 + seq, type, path, attempt, data)


def story(*facts: tuple[Any, ...], total: int = 4) -> list[Event]:
    """The events of a run that was created and started, and then `facts`: (type, path, attempt, data)."""
    events = [
        event(1, "run.created", pipeline="p", name="P", steps=total),
        event(2, "run.started", owner="me", resumed=False),
    ]
    for type, path, attempt, data in (fact + ("", 0, {})[len(fact) - 1 :] for fact in facts):
        events.append(event(len(events) + 1, type, path, attempt, **data))
    return events


class Statement(NamedTuple):
    """A statement as the driver got it, and how many rows it changed (-1 where it is not known)."""

    text: str
    parameters: Any
    changed: int


@contextmanager
def recorded(database: Database) -> Iterator[list[Statement]]:
    """Record the statements that SQLAlchemy executes in a block. An entry `COMMIT` ends each transaction."""
    found: list[Statement] = []

    def executed(_connection: Any, cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        found.append(Statement(text, parameters, cursor.rowcount))

    def committed(_connection: Any) -> None:
        found.append(Statement("COMMIT", (), 0))

    listeners = (("after_cursor_execute", executed), ("commit", committed))
    for name, listener in listeners:
        sqlalchemy_event.listen(database.engine, name, listener)
    try:
        yield found
    finally:
        for name, listener in listeners:
            sqlalchemy_event.remove(database.engine, name, listener)

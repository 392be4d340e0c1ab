"""What the journal's tests share: making runs, and the words of a run's life."""

from __future__ import annotations

import itertools
import time
from typing import Any

from orchestrator.journal import Event, EventType, Lease, NewRun, Owner, Store

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

"""The events of a run in a query: a range of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.journal.store.event_columns import event_id, last_id
from orchestrator.journal.store.tables import events

if TYPE_CHECKING:
    import sqlalchemy as sa


def of_run(key: Any, *, after: int = 0) -> sa.ColumnElement[bool]:
    """Return the condition that an event is one of a run, newer than the one numbered `after`.

    `key` is the number of the run, or the column that has it.
    """
    return events.c.id.between(event_id(key, after + 1), last_id(key))

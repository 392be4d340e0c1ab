"""What runs have spent on models: the sums of each run, and those of all runs by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from orchestrator.journal.store.tables import runs, spending
from orchestrator.models.budget import Spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.journal.store.database import Database

_DAY: Final = 86_400
_AMOUNTS: Final = ("usd", "tokens", "requests")


def spent_by_batch(database: Database, batch_id: str) -> Spent:
    """Return what all runs of a batch have spent, including runs of rows that were started again."""
    with database.read() as connection:
        return _spent(connection.execute(_sums(runs).where(runs.c.batch == batch_id)).one())


def spent_since(database: Database, at: float) -> Spent:
    """Return what all runs have spent from the beginning of the day (UTC) of a time. Reads a row for each day."""
    with database.read() as connection:
        return _spent(connection.execute(_sums(spending).where(spending.c.day >= day_of(at))).one())


def day_of(at: float) -> int:
    """Return the day of a time, by UTC and counted from the epoch."""
    return int(at // _DAY)


def _sums(table: sa.Table) -> sa.Select[Any]:
    return sa.select(*(sa.func.sum(table.c[name]) for name in _AMOUNTS))


def _spent(amounts: Sequence[Any]) -> Spent:
    usd, tokens, requests = amounts
    return Spent(float(usd or 0.0), int(tokens or 0), int(requests or 0))

"""What runs have spent on models: sums over the columns that are kept with each run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from orchestrator.journal.schema import events, runs
from orchestrator.journal.spending import spending_of
from orchestrator.models.budget import Spent

if TYPE_CHECKING:
    from orchestrator.journal.database import Database

_SUMS = (sa.func.sum(runs.c.usd), sa.func.sum(runs.c.tokens), sa.func.sum(runs.c.requests))


def by_batch(database: Database, batch_id: str) -> Spent:
    """Return what all runs of a batch have spent, also those that were begun anew since."""
    return _sum(database, runs.c.batch == batch_id)


def since(database: Database, at: float) -> Spent:
    """Return what all runs have spent since a time. Of those that began before it, the calls since then are counted."""
    found = _sum(database, sa.and_(runs.c.spent_at >= at, runs.c.created_at >= at))
    earlier = (
        sa.select(events.c.data)
        .join(runs, runs.c.key == events.c.run)
        .where(runs.c.spent_at >= at, runs.c.created_at < at, events.c.at >= at, events.c.type == "step.model")
    )
    with database.read() as connection:
        for (data,) in connection.execute(earlier):
            found += spending_of(json.loads(data)).spent
    return found


def _sum(database: Database, which: sa.ColumnElement[bool]) -> Spent:
    with database.read() as connection:
        usd, tokens, requests = connection.execute(sa.select(*_SUMS).where(which)).one()
    return Spent(float(usd or 0.0), int(tokens or 0), int(requests or 0))

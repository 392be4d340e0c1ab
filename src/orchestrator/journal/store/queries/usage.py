"""What runs have spent on models: sums over columns of each run, and the sums that are kept of pruned runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.state.usage import spending_of
from orchestrator.journal.store.tables import events, pruned_spending, runs
from orchestrator.models.budget import Spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database

_DAY: Final = 86_400
_AMOUNTS: Final = ("usd", "tokens", "requests")


def spent_by_batch(database: Database, batch_id: str) -> Spent:
    """Return what all runs of a batch have spent, including runs of rows that were started again."""
    with database.read() as connection:
        return _spent(connection.execute(_sums(runs).where(runs.c.batch == batch_id)).one())


def spent_since(database: Database, at: float) -> Spent:
    """Return what all runs have spent since a time. For runs that started before it, the calls since then are counted.

    The spending of pruned runs is known by the day, and counts from the day of the time.
    """
    begun_since = _sums(runs).add_columns(sa.cast(sa.null(), sa.Text)).where(runs.c.spent_at >= at)
    gone = _sums(pruned_spending).add_columns(sa.null()).where(pruned_spending.c.day >= _day(at))
    earlier = (
        sa.select(sa.null(), sa.null(), sa.null(), events.c.data)
        .join(runs, runs.c.key == events.c.run)
        .where(runs.c.spent_at >= at, runs.c.created_at < at, events.c.at >= at, events.c.type == "step.model")
    )
    found = Spent()
    with database.read() as connection:
        # One statement, so that a run that is pruned at the same time is counted exactly once.
        for *amounts, data in connection.execute(
            sa.union_all(begun_since.where(runs.c.created_at >= at), gone, earlier)
        ):
            found += _spent(amounts) if data is None else spending_of(json.loads(data)).spent
    return found


def keep_pruned_spending(connection: Connection, keys: Sequence[int]) -> None:
    """Keep the spending of runs that are about to be removed, in the same transaction."""
    by_day: dict[int, Spent] = {}
    several_days = []
    columns = (runs.c[name] for name in ("key", "created_at", "spent_at", *_AMOUNTS))
    query = sa.select(*columns).where(runs.c.key.in_(keys), runs.c.spent_at.is_not(None))
    for key, created_at, spent_at, *amounts in connection.execute(query):
        day = _day(spent_at)
        if _day(created_at) == day:
            by_day[day] = by_day.get(day, Spent()) + _spent(amounts)
        else:
            several_days.append(key)
    calls = sa.select(events.c.at, events.c.data).where(events.c.run.in_(several_days), events.c.type == "step.model")
    for at, data in connection.execute(calls) if several_days else ():
        by_day[_day(at)] = by_day.get(_day(at), Spent()) + spending_of(json.loads(data)).spent
    statement = upsert(connection, pruned_spending)
    added = {name: pruned_spending.c[name] + statement.excluded[name] for name in _AMOUNTS}
    for day, spent in sorted(by_day.items()):  # in one order everywhere, so that two processes cannot deadlock
        row = {"day": day, **{name: getattr(spent, name) for name in _AMOUNTS}}
        connection.execute(statement.values(row).on_conflict_do_update(index_elements=["day"], set_=added))


def _day(at: float) -> int:
    return int(at // _DAY)


def _sums(table: sa.Table) -> sa.Select[Any]:
    return sa.select(*(sa.func.sum(table.c[name]) for name in _AMOUNTS))


def _spent(amounts: Sequence[Any]) -> Spent:
    usd, tokens, requests = amounts
    return Spent(float(usd or 0.0), int(tokens or 0), int(requests or 0))

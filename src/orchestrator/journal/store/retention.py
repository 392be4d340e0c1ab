"""Pruning runs, cached results and large values, and the statistics of a store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.errors import StoreUnavailable
from orchestrator.journal.events import ENDS
from orchestrator.journal.records import Pruned, StoreStats
from orchestrator.journal.store.queries import batches, usage
from orchestrator.journal.store.queries.statuses import running_states
from orchestrator.journal.store.tables import blob_uses, blobs, cache, commands, events, runs

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database

_RUNS_AT_ONCE = 20  # in one transaction, so that others can write in between
_BLOBS_AT_ONCE = 200
_ENDED = tuple(event.removeprefix("run.") for event in sorted(ENDS))


def prune_runs(database: Database, *, older_than: float | None, keep: int | None) -> Pruned:
    """Remove runs that have ended, old cached results, and then large values without a reference."""
    removed = entries = 0
    if older_than is not None or keep is not None:
        unwanted = _unwanted(database, older_than, keep)
        for start in range(0, len(unwanted), _RUNS_AT_ONCE):
            with database.write() as connection:
                removed += _remove_runs(database, connection, unwanted[start : start + _RUNS_AT_ONCE])
    if older_than is not None:
        with database.write() as connection:
            entries = connection.execute(cache.delete().where(cache.c.at < older_than)).rowcount
    gone, size = _remove_blobs(database)
    with suppress(StoreUnavailable), database.errors():  # a busy store is not shrunk
        database.dialect.shrink()
    return Pruned(removed, entries, gone, size)


def prunable(database: Database, *, older_than: float | None, keep: int | None) -> Pruned:
    """Return what `prune_runs` would remove now."""
    limited = older_than is not None or keep is not None
    named = _ended(database, older_than, keep).subquery()
    unwanted = sa.select(runs.c.key).where(sa.literal(limited), runs.c.key.in_(sa.select(named.c.key)), _free(database))
    old = cache.c.at < older_than if older_than is not None else sa.false()
    used = sa.or_(
        sa.exists().where(blob_uses.c.hash == blobs.c.hash, blob_uses.c.run.not_in(unwanted)),
        sa.exists().where(cache.c.hash == blobs.c.hash, sa.not_(old)),
    )
    unused = sa.select(sa.func.count(), sa.func.sum(sa.func.length(blobs.c.content))).where(~used)
    with database.read() as connection:
        removed = connection.execute(sa.select(sa.func.count()).select_from(unwanted.subquery())).scalar_one()
        entries = connection.execute(sa.select(sa.func.count()).select_from(cache).where(old)).scalar_one()
        gone, size = connection.execute(unused).one()
    return Pruned(removed, entries, gone, int(size or 0))


def store_stats(database: Database) -> StoreStats:
    """Return the content and the size of the store."""
    last_seq = sa.select(sa.func.max(events.c.seq)).where(events.c.run == runs.c.key).scalar_subquery()
    with database.read() as connection:
        by_state = sa.select(runs.c.state, sa.func.count()).group_by(runs.c.state)
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_state)}
        recorded = connection.execute(sa.select(sa.func.sum(last_seq)).select_from(runs)).scalar()
        large, stored = connection.execute(
            sa.select(sa.func.count(), sa.func.sum(sa.func.length(blobs.c.content))).select_from(blobs)
        ).one()
        entries = connection.execute(sa.select(sa.func.count()).select_from(cache)).scalar_one()
        oldest, newest = connection.execute(
            sa.select(sa.func.min(runs.c.created_at), sa.func.max(runs.c.created_at))
        ).one()
        size, free = database.dialect.sizes(connection)
    if counts.pop("running", 0):
        counts |= running_states(database)
    return StoreStats(counts, int(recorded or 0), large, int(stored or 0), entries, size, free, oldest, newest)


def _unwanted(database: Database, older_than: float | None, keep: int | None) -> list[int]:
    """Return the numbers of the runs to remove, the oldest first."""
    with database.read() as connection:
        return list(connection.execute(_ended(database, older_than, keep)).scalars())[::-1]


def _ended(database: Database, older_than: float | None, keep: int | None) -> sa.Select[Any]:
    """Return the query for the numbers of runs that ended before, without the `keep` last ones, newest first."""
    ended_at = sa.select(events.c.at).where(events.c.run == runs.c.key).order_by(events.c.seq.desc()).limit(1)
    ends = (
        sa.select(runs.c.key, ended_at.scalar_subquery().label("ended_at")).where(runs.c.state.in_(_ENDED)).subquery()
    )
    query: sa.Select[Any] = sa.select(ends.c.key).order_by(ends.c.ended_at.desc(), ends.c.key.desc())
    if keep is not None:
        query = query.offset(keep)
    if older_than is not None:
        kept = query.subquery()
        query = (
            sa.select(ends.c.key)
            .where(ends.c.ended_at < older_than, ends.c.key.in_(sa.select(kept.c.key)))
            .order_by(ends.c.ended_at.desc())
        )
    return query


def _remove_runs(database: Database, connection: Connection, keys: list[int]) -> int:
    """Remove those of the runs that have ended and are not executed. What they spent is kept."""
    query = sa.select(runs.c.key).where(runs.c.key.in_(keys), runs.c.state.in_(_ENDED), _free(database))
    found = list(connection.execute(query.with_for_update(skip_locked=True)).scalars())
    in_batches = sa.select(runs.c.batch).where(runs.c.key.in_(found), runs.c.batch.is_not(None)).distinct()
    batch_ids = connection.execute(in_batches).scalars().all()
    usage.keep_pruned_spending(connection, found)
    for table in (events, blob_uses, commands):
        connection.execute(table.delete().where(table.c.run.in_(found)))
    connection.execute(runs.delete().where(runs.c.key.in_(found)))
    if batch_ids:
        batches.remove_empty_batches(connection, batch_ids)
    return len(found)


def _free(database: Database) -> sa.ColumnElement[bool]:
    """Return the condition that no process executes a run."""
    return sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until <= database.clock())


def _remove_blobs(database: Database) -> tuple[int, int]:
    """Remove the blobs that no run and no cached result uses; return how many, and how many bytes."""
    used = sa.or_(
        sa.exists().where(blob_uses.c.hash == blobs.c.hash),
        sa.exists().where(cache.c.hash == blobs.c.hash),
    )
    unused = sa.select(blobs.c.hash, sa.func.length(blobs.c.content)).where(~used).order_by(blobs.c.hash)
    count = size = 0
    after = ""
    while True:
        with database.write() as connection:
            # A writer that finds a blob does not write it, and refers to it a moment later: it must not be removed.
            database.dialect.claim_blobs(connection)
            rows = connection.execute(unused.where(blobs.c.hash > after).limit(_BLOBS_AT_ONCE)).all()
            if rows:
                connection.execute(blobs.delete().where(blobs.c.hash.in_([row[0] for row in rows])))
        count += len(rows)
        size += sum(row[1] for row in rows)
        if len(rows) < _BLOBS_AT_ONCE:
            return count, size
        after = rows[-1][0]

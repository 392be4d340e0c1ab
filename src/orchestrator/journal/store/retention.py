"""Pruning runs, cached results and large values in short transactions, and the statistics of a store."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from orchestrator.errors import StoreUnavailable
from orchestrator.journal.events import ENDS
from orchestrator.journal.records import Pruned, StoreStats
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.event_columns import event_id, seq_of
from orchestrator.journal.store.memory_store import WRITES_KEPT
from orchestrator.journal.store.queries import batches
from orchestrator.journal.store.queries.event_ranges import of_run
from orchestrator.journal.store.queries.statuses import running_states
from orchestrator.journal.store.tables import (
    REMOVED,
    blob_uses,
    blobs,
    cache,
    commands,
    concurrency,
    durations,
    events,
    labels,
    memories,
    memory_writes,
    runs,
)
from orchestrator.journal.turns import Portion, Turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database

EVENTS_AT_ONCE: Final = 5_000
"""The most events that one transaction removes; it begins with a fifth of that."""

RUNS_AT_ONCE: Final = 200
"""The most runs that one transaction removes."""

ENTRIES_AT_ONCE: Final = 200
"""The most large values or cached results that one transaction removes."""

_BYTES_AT_ONCE = 1 << 20  # of large values
_BLOBS_READ_AT_ONCE = 5_000
_ENDED = tuple(event.removeprefix("run.") for event in sorted(ENDS))


def prune_runs(database: Database, *, older_than: float | None, keep: int | None) -> Pruned:
    """Remove runs that have ended, old cached results, and then large values without a reference."""
    work = _Pruning(database)
    _finish_removed(work)
    removed = entries = 0
    if older_than is not None or keep is not None:
        removed = _remove_ended(work, older_than, keep)
    if older_than is not None:
        entries = _remove_cached(work, older_than)
        with work.transaction(work.entries) as connection:
            connection.execute(durations.delete().where(durations.c.at < older_than))
    gone, size = _remove_blobs(work)
    expired = _remove_memories(work)
    with suppress(StoreUnavailable), database.errors():  # a busy store is not shrunk
        database.dialect.shrink(work.turns)
    return Pruned(removed, entries, gone, size, expired)


def prunable(database: Database, *, older_than: float | None, keep: int | None) -> Pruned:
    """Return what `prune_runs` would remove now."""
    limited = older_than is not None or keep is not None
    named = _ended(database, older_than, keep).subquery()
    unwanted = sa.select(runs.c.key).where(sa.literal(limited), runs.c.key.in_(sa.select(named.c.key)), _free(database))
    old = cache.c.at < older_than if older_than is not None else sa.false()
    used = sa.or_(
        sa.exists().where(blob_uses.c.blob == blobs.c.key, blob_uses.c.run.not_in(unwanted)),
        sa.exists().where(cache.c.blob == blobs.c.key, sa.not_(old)),
    )
    unused = sa.select(sa.func.count(), sa.func.sum(sa.func.length(blobs.c.content))).where(~used)
    with database.read() as connection:
        removed = connection.execute(sa.select(sa.func.count()).select_from(unwanted.subquery())).scalar_one()
        entries = connection.execute(sa.select(sa.func.count()).select_from(cache).where(old)).scalar_one()
        gone, size = connection.execute(unused).one()
        of_memory = sa.select(sa.func.count()).select_from(memories).where(memories.c.expires_at <= database.clock())
        expired = connection.execute(of_memory).scalar_one()
    return Pruned(removed, entries, gone, int(size or 0), expired)


def run_counts(database: Database) -> dict[str, int]:
    """Count the runs by their states."""
    with database.read() as connection:
        by_state = sa.select(runs.c.state, sa.func.count()).group_by(runs.c.state)
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_state)}
    counts.pop(REMOVED, None)
    if counts.pop("running", 0):
        counts |= running_states(database)
    return counts


def store_size(database: Database) -> int:
    """Return the bytes that the database takes."""
    with database.read() as connection:
        return database.dialect.sizes(connection)[0]


def store_stats(database: Database) -> StoreStats:
    """Return the content and the size of the store."""
    last_id = sa.select(sa.func.max(events.c.id)).where(of_run(runs.c.key)).scalar_subquery()
    counts = run_counts(database)
    with database.read() as connection:
        recorded = connection.execute(
            sa.select(sa.func.sum(last_id - event_id(runs.c.key, 0))).select_from(runs)
        ).scalar()
        large, stored = connection.execute(
            sa.select(sa.func.count(), sa.func.sum(sa.func.length(blobs.c.content))).select_from(blobs)
        ).one()
        entries = connection.execute(sa.select(sa.func.count()).select_from(cache)).scalar_one()
        oldest = connection.execute(sa.select(runs.c.created_at).order_by(runs.c.key).limit(1)).scalar()
        newest = connection.execute(sa.select(runs.c.created_at).order_by(runs.c.key.desc()).limit(1)).scalar()
        size, free = database.dialect.sizes(connection)
    return StoreStats(counts, int(recorded or 0), large, int(stored or 0), entries, size, free, oldest, newest)


class _Pruning:
    """The short transactions of one call of `prune_runs`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.turns = Turns(pauses=database.dialect.one_writer)
        self.events = Portion(EVENTS_AT_ONCE // 5, EVENTS_AT_ONCE)
        self.entries = Portion(ENTRIES_AT_ONCE, ENTRIES_AT_ONCE)

    @contextmanager
    def transaction(self, portion: Portion) -> Iterator[Connection]:
        """Lend a connection inside a transaction, when other writers have had their turn."""
        self.turns.wait()
        with self.database.write() as connection:
            began = time.monotonic()  # the wait for the lock does not count
            yield connection
        self.turns.took(time.monotonic() - began, portion)


# --- runs


def _remove_ended(work: _Pruning, older_than: float | None, keep: int | None) -> int:
    """Remove the runs that ended before, without the last ones, the oldest first; return how many."""
    database = work.database
    with database.read() as connection:
        query = _ended(database, older_than, keep)
        unwanted = [(row[0], row[1]) for row in connection.execute(query)][::-1]
    removed = 0
    for keys, are_long in _portions(unwanted, work.events):
        with work.transaction(work.events) as connection:
            found = _removable(database, connection, keys)
            _forget(connection, found)
            if are_long:
                hidden = {"state": REMOVED, "fence": runs.c.fence + 1, "batch": None, "batch_row": None}
                connection.execute(runs.update().where(runs.c.key.in_(found)).values(hidden))
            else:
                for some in chunks(found):
                    connection.execute(events.delete().where(sa.or_(*map(of_run, some))))
                connection.execute(blob_uses.delete().where(blob_uses.c.run.in_(found)))
                connection.execute(runs.delete().where(runs.c.key.in_(found)))
        removed += len(found)
        if are_long:
            for key in found:
                _finish(work, key)
    return removed


def _portions(unwanted: Iterable[tuple[int, int]], events: Portion) -> Iterator[tuple[list[int], bool]]:
    """Yield the runs that a transaction removes, from their numbers and lengths; true with a long one, alone."""
    keys: list[int] = []
    length = 0
    for key, each in unwanted:
        if each > EVENTS_AT_ONCE // 5:
            yield [key], True
            continue
        if keys and (length + each > events.size or len(keys) == RUNS_AT_ONCE):
            yield keys, False
            keys, length = [], 0
        keys.append(key)
        length += each
    if keys:
        yield keys, False


def _ended(database: Database, older_than: float | None, keep: int | None) -> sa.Select[Any]:
    """Return the query for the runs that ended before, without the `keep` last ones, newest first.

    Its columns are the number of the run and that of its last snapshot, which is written when a run ends.
    """
    ended_at = sa.select(events.c.at).where(of_run(runs.c.key)).order_by(events.c.id.desc()).limit(1)
    ends = (
        sa.select(runs.c.key, runs.c.snapshot_seq, ended_at.scalar_subquery().label("ended_at"))
        .where(runs.c.state.in_(_ENDED))
        .subquery()
    )
    query: sa.Select[Any] = sa.select(ends.c.key, ends.c.snapshot_seq, ends.c.ended_at)
    query = query.order_by(ends.c.ended_at.desc(), ends.c.key.desc())
    if keep is not None:
        query = query.offset(keep)
    if older_than is not None:
        kept = query.subquery()
        query = sa.select(kept).where(kept.c.ended_at < older_than).order_by(kept.c.ended_at.desc(), kept.c.key.desc())
    return query


def _removable(database: Database, connection: Connection, keys: Sequence[int]) -> list[int]:
    """Return those of the runs that have ended and are not executed, and keep them so until the transaction ends."""
    query = sa.select(runs.c.key).where(runs.c.key.in_(keys), runs.c.state.in_(_ENDED), _free(database))
    return list(connection.execute(query.with_for_update(skip_locked=True)).scalars())


def _forget(connection: Connection, keys: Sequence[int]) -> None:
    """Remove what lists runs, or would be sent to them. What they spent is kept by day."""
    in_batches = sa.select(runs.c.batch).where(runs.c.key.in_(keys), runs.c.batch.is_not(None)).distinct()
    batch_ids = connection.execute(in_batches).scalars().all()
    for table in (labels, commands, concurrency):
        connection.execute(table.delete().where(table.c.run.in_(keys)))
    if batch_ids:
        batches.remove_empty_batches(connection, batch_ids, without=keys)


def _finish_removed(work: _Pruning) -> None:
    """Remove the rest of long runs whose removal was interrupted."""
    with work.database.read() as connection:
        keys = connection.execute(sa.select(runs.c.key).where(runs.c.state == REMOVED)).scalars().all()
    for key in keys:
        _finish(work, key)


def _finish(work: _Pruning, key: int) -> None:
    """Remove the events of a run that readers no longer find, and then the run.

    The newest events go first: callers that read it meanwhile see an early end, never a gap.
    """
    with work.database.read() as connection:
        last = seq_of(connection.execute(sa.select(sa.func.max(events.c.id)).where(of_run(key))).scalar() or 0)
    while last > 0:
        last -= work.events.size
        with work.transaction(work.events) as connection:
            connection.execute(events.delete().where(of_run(key, after=last)))
    some = sa.select(blob_uses.c.blob).where(blob_uses.c.run == key).limit(ENTRIES_AT_ONCE)
    gone = ENTRIES_AT_ONCE
    while gone == ENTRIES_AT_ONCE:
        with work.transaction(work.entries) as connection:
            gone = connection.execute(
                blob_uses.delete().where(blob_uses.c.run == key, blob_uses.c.blob.in_(some))
            ).rowcount
    with work.transaction(work.entries) as connection:
        connection.execute(runs.delete().where(runs.c.key == key, runs.c.state == REMOVED))


def _free(database: Database) -> sa.ColumnElement[bool]:
    """Return the condition that no process executes a run."""
    return sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until <= database.clock())


# --- cached results and large values


def _remove_cached(work: _Pruning, older_than: float) -> int:
    """Remove cached results from before; return how many."""
    old = sa.select(cache.c.key).where(cache.c.at < older_than).order_by(cache.c.at).limit(ENTRIES_AT_ONCE)
    count = 0
    while True:
        with work.transaction(work.entries) as connection:
            gone = connection.execute(cache.delete().where(cache.c.key.in_(old), cache.c.at < older_than)).rowcount
        count += gone
        if gone < ENTRIES_AT_ONCE:
            return count


def _remove_memories(work: _Pruning) -> int:
    """Remove values of the memory that have expired, and what is known of writes long ago; return how many values."""
    place = sa.tuple_(memories.c.project, memories.c.namespace, memories.c.name)
    expired = memories.c.expires_at <= work.database.clock()
    some = sa.select(*place.clauses).where(expired).order_by(memories.c.expires_at).limit(ENTRIES_AT_ONCE)
    count = 0
    while True:
        with work.transaction(work.entries) as connection:
            gone = connection.execute(memories.delete().where(place.in_(some), expired)).rowcount
        count += gone
        if gone < ENTRIES_AT_ONCE:
            break
    with work.transaction(work.entries) as connection:
        connection.execute(memory_writes.delete().where(memory_writes.c.at < work.database.clock() - WRITES_KEPT))
    return count


def _remove_blobs(work: _Pruning) -> tuple[int, int]:
    """Remove the blobs that no run and no cached result uses; return how many, and how many bytes."""
    count = size = 0
    for keys in _unused_blobs(work.database):
        with work.transaction(work.entries) as connection:
            # A writer that finds a blob does not write it, and refers to it a moment later: it must not be removed.
            work.database.dialect.claim_blobs(connection)
            still = sa.select(blobs.c.key, sa.func.length(blobs.c.content)).where(blobs.c.key.in_(keys), ~_USED)
            rows = connection.execute(still).all()
            if rows:
                connection.execute(blobs.delete().where(blobs.c.key.in_([row[0] for row in rows])))
        count += len(rows)
        size += sum(row[1] for row in rows)
    return count, size


_USED = sa.or_(
    sa.exists().where(blob_uses.c.blob == blobs.c.key),
    sa.exists().where(cache.c.blob == blobs.c.key),
)


def _unused_blobs(database: Database) -> Iterator[list[int]]:
    """Yield the keys of blobs that seem to be unused, as many at a time as a transaction removes."""
    after = 0
    length = sa.func.length(blobs.c.content)
    page = sa.select(blobs.c.key, length.label("size"), (~_USED).label("unused")).order_by(blobs.c.key)
    while True:
        with database.read() as connection:
            rows = connection.execute(page.where(blobs.c.key > after).limit(_BLOBS_READ_AT_ONCE)).all()
        some: list[int] = []
        size = 0
        for key, each, unused in rows:
            if not unused:
                continue
            if some and (len(some) == ENTRIES_AT_ONCE or size + each > _BYTES_AT_ONCE):
                yield some
                some, size = [], 0
            some.append(key)
            size += each
        if some:
            yield some
        if len(rows) < _BLOBS_READ_AT_ONCE:
            return
        after = rows[-1][0]

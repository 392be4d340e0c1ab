"""The statuses of runs: the last snapshot of each, and the few events after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.errors import StoreUnavailable
from orchestrator.journal.state.fold import fold
from orchestrator.journal.state.folded_status import STEP_STATES, status_of
from orchestrator.journal.state.status import QueuedRun, RunStatus
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.blob_store import resolve_blobs
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.concurrency_line import ConcurrencyLine
from orchestrator.journal.store.concurrency_store import contenders
from orchestrator.journal.store.event_columns import run_of, seq_of
from orchestrator.journal.store.leases import holder, lease_lost
from orchestrator.journal.store.queries.event_ranges import of_run
from orchestrator.journal.store.queries.lookup import run_not_found
from orchestrator.journal.store.stored_data import (
    event_name,
    stored_event,
    stored_fold,
    stored_lease_end,
    stored_object,
)
from orchestrator.journal.store.submissions import refusals_of
from orchestrator.journal.store.tables import REMOVED, events, labels, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Connection, Row

    from orchestrator.journal.events import RunState
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import Lease, RunFilter
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.store.database import Database

SETTLING_SECONDS = 0.25
"""Seconds after its last event in which a run counts as moving: longer than an event may stay unwritten."""

_LEAN_DATA = sa.case((events.c.type.in_(("step.succeeded", "run.succeeded")), "{}"), else_=events.c.data)
"""The data of an event without outputs, as for the fold."""

_HEAD = (
    runs.c.key,
    runs.c.run_id,
    runs.c.state,
    runs.c.batch_row,
    runs.c.snapshot,
    runs.c.snapshot_seq,
    runs.c.fence,
    runs.c.owner,
    runs.c.lease_until,
)
_RUNNING: tuple[RunState, ...] = ("queued", "running", "interrupted", "waiting")
"""The states that only the events and the owner distinguish."""

_ASKING = ("running", "paused")
"""The states, as the store has them, in which a run may have questions."""

_PAGE = 500


def run_head(database: Database, connection: Connection, run_id: str) -> Row[Any]:
    """Return the row of a run.

    Raises:
        RunNotFound: the run does not exist.
    """
    row = connection.execute(select_heads(database).where(runs.c.run_id == storable(run_id))).first()
    if row is None:
        raise run_not_found(connection, database.url, run_id)
    return row


def run_status(database: Database, run_id: str) -> RunStatus:
    """Return the status of a run.

    Raises:
        RunNotFound: the run does not exist.
    """
    with database.read() as connection:
        return statuses_of(database, connection, [run_head(database, connection, run_id)])[0]


def newest_runs(database: Database, wanted: RunFilter, limit: int) -> list[RunStatus]:
    """Return the newest runs that match, newest first."""
    state = wanted.state
    found: list[RunStatus] = []
    before: int | None = None
    size = min(limit, _PAGE)
    query = select_heads(database).order_by(runs.c.key.desc()).limit(size)
    if state is not None:
        query = query.where(runs.c.state == ("running" if state in _RUNNING else state))
    query = query.where(*_conditions(wanted))

    def matches(status: RunStatus) -> bool:
        return state in (None, status.state) and (status.asks or not wanted.asks)

    with database.read() as connection:
        while len(found) < limit:
            page = query if before is None else query.where(runs.c.key < before)
            heads = connection.execute(page).all()
            if not heads:
                break
            before = heads[-1].key
            found += [each for each in listed_statuses(database, connection, heads) if matches(each)]
            if len(heads) < size:
                break
    return found[:limit]


def labels_of(database: Database, run_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels of those of the runs that have any, in alphabetical order."""
    found: dict[str, list[str]] = {}
    with database.read() as connection:
        for some in chunks(sorted(set(run_ids))):
            query = sa.select(runs.c.run_id, labels.c.label).join(labels, labels.c.run == runs.c.key)
            rows = connection.execute(query.where(runs.c.run_id.in_(some)).order_by(labels.c.label)).all()
            for run_id, label in rows:
                found.setdefault(run_id, []).append(label)
    return found


def rows_of(database: Database, run_ids: Iterable[str]) -> dict[str, int]:
    """Return the number of the row of those of the runs that are part of a batch. Rows are counted from 1."""
    found: dict[str, int] = {}
    with database.read() as connection:
        for some in chunks(sorted(set(run_ids))):
            query = sa.select(runs.c.run_id, runs.c.batch_row).where(runs.c.run_id.in_(some))
            found |= dict(connection.execute(query.where(runs.c.batch_row.is_not(None))).all())
    return found


def _conditions(wanted: RunFilter) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.pipeline is not None:
        yield runs.c.pipeline == storable(wanted.pipeline)
    if wanted.batch is not None:
        yield runs.c.batch == wanted.batch
    if wanted.asks:
        yield runs.c.state.in_(_ASKING)
    if wanted.single:
        yield runs.c.batch.is_(None)
        yield runs.c.batch_row.is_(None)  # so that an index has them in the order of their keys
    if wanted.since is not None:
        yield runs.c.created_at >= wanted.since
    if wanted.until is not None:
        yield runs.c.created_at < wanted.until
    if wanted.text:
        text = storable(wanted.text)
        labelled = sa.select(labels.c.run).where(labels.c.label == text)
        yield sa.or_(
            runs.c.pipeline.contains(text, autoescape=True),
            runs.c.run_id.startswith(text, autoescape=True),
            runs.c.key.in_(labelled),
        )
    if wanted.before is not None:
        before = storable(wanted.before)
        key = sa.select(runs.c.key).where(runs.c.run_id == before).scalar_subquery()
        yield sa.or_(runs.c.key < key, sa.and_(key.is_(None), runs.c.run_id < before))
    for some in chunks(sorted({storable(label) for label in wanted.labels})):
        every = sa.select(labels.c.run).where(labels.c.label.in_(some))
        if len(some) > 1:
            every = every.group_by(labels.c.run).having(sa.func.count() == len(some))
        yield runs.c.key.in_(every)


def running_states(database: Database) -> dict[str, int]:
    """Count the runs that have not ended and are not paused, by their states."""
    counts: dict[str, int] = {}
    after = 0
    query = select_heads(database).where(runs.c.state == "running").order_by(runs.c.key).limit(_PAGE)
    while True:
        with database.read() as connection:
            heads = connection.execute(query.where(runs.c.key > after)).all()
            for found in listed_statuses(database, connection, heads) if heads else ():
                counts[found.state] = counts.get(found.state, 0) + 1
        if len(heads) < _PAGE:
            return counts
        after = heads[-1].key


def load_fold(database: Database, lease: Lease) -> RunFold:
    """Return the fold of a run that this process owns.

    Raises:
        LeaseLost: another process has taken the run.
    """
    with database.read() as connection:
        row = run_head(database, connection, lease.run_id)
        if row.fence != lease.fence:
            raise lease_lost(database.url, lease)
        return folds(database, connection, [row])[0]


def select_heads(database: Database) -> sa.Select[Any]:
    """Return the query of the rows of runs, without those that are being removed."""
    return sa.select(*_HEAD, database.clock().label("now")).where(runs.c.state != REMOVED)


def listed_statuses(database: Database, connection: Connection, heads: Sequence[Row[Any]]) -> list[RunStatus]:
    """As `statuses_of`; a run that cannot be read has a `damage`, so that it does not hide the others."""
    try:
        return statuses_of(database, connection, heads)
    except StoreUnavailable as error:
        if not error.damaged:
            raise
        if len(heads) == 1:
            return [_damaged_status(connection, heads[0], error.message)]
    half = len(heads) // 2
    return [each for part in (heads[:half], heads[half:]) for each in listed_statuses(database, connection, part)]


def _damaged_status(connection: Connection, head: Row[Any], damage: str) -> RunStatus:
    """Return what the row of a run says of it."""
    query = sa.select(runs.c.pipeline, runs.c.created_at).where(runs.c.key == head.key)
    pipeline, created_at = connection.execute(query).one()
    counts = dict.fromkeys(STEP_STATES, 0)
    return RunStatus(head.run_id, pipeline, head.state, 0.0, counts, created_at=created_at, damage=damage)


def statuses_of(database: Database, connection: Connection, heads: Sequence[Row[Any]]) -> list[RunStatus]:
    """Return the statuses of the runs of these rows."""
    found = []
    holders: dict[str | None, Owner | None] = {}  # one process may own many of them
    now = time.time()
    states = folds(database, connection, heads)
    queued = _queued(database, connection, heads, states)
    submitted = [row.key for row, state in zip(heads, states, strict=True) if state.runs_on is not None]
    refusals = refusals_of(connection, submitted)
    for row, state in zip(heads, states, strict=True):
        if not stored_lease_end(database.url, row.run_id, row.lease_until) > row.now:
            held_by = None
        elif row.owner in holders:
            held_by = holders[row.owner]
        else:
            held_by = holders[row.owner] = holder(database.url, row.run_id, row)
        found.append(
            status_of(
                state,
                now,
                interrupted=held_by is None,
                moving=now - state.last_at < SETTLING_SECONDS,
                owner=None if held_by is None else str(held_by),
                queued=queued.get(row.key),
                refusal=refusals.get(row.key),
            )
        )
    return found


def _queued(
    database: Database, connection: Connection, heads: Sequence[Row[Any]], states: Sequence[RunFold]
) -> dict[int, QueuedRun]:
    """Return what those of the runs that are queued wait for now, by their keys."""
    waiting = {row.key: state.queued for row, state in zip(heads, states, strict=True) if state.queued is not None}
    if not waiting:
        return {}
    found = contenders(database, connection, {queued.key for queued in waiting.values()})
    lines = {name: ConcurrencyLine(some) for name, some in found.items()}
    empty = ConcurrencyLine(())
    return {key: lines.get(queued.key, empty).queued(key, queued.key, queued.max) for key, queued in waiting.items()}


def folds(database: Database, connection: Connection, heads: Sequence[Row[Any]]) -> list[RunFold]:
    """Return the folds of the runs of these rows."""
    url = database.url
    states = {row.key: stored_fold(url, row.run_id, row.snapshot) for row in heads}
    query = sa.select(events.c.id, events.c.at, events.c.type, events.c.path, events.c.attempt, _LEAN_DATA).order_by(
        events.c.id
    )
    for some in chunks(heads):
        # By the numbers of the snapshots just read: a newer one may have been written since.
        tails = [of_run(row.key, after=row.snapshot_seq) for row in some]
        for row in connection.execute(query.where(sa.or_(*tails))):
            state = states[run_of(row[0])]
            data = stored_object(url, row[5], event_name(state.run_id, seq_of(row[0])))
            if row[2] == "step.waiting":  # a question may be large, and it is part of the status
                data = resolve_blobs(database, data)
            fold(state, stored_event(url, state.run_id, row, data))
    return [states[row.key] for row in heads]

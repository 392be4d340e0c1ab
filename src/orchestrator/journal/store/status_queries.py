"""Where the runs of a store stand: the last snapshot of each, and the few events after it."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.journal.events import Event
from orchestrator.journal.records import BatchStatus, RunFilter, label_key
from orchestrator.journal.state.fold import fold, status_of
from orchestrator.journal.state.run_state import RunFold
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.blob_store import resolve
from orchestrator.journal.store.leases import holder, lease_lost
from orchestrator.journal.store.lookup import not_found
from orchestrator.journal.store.tables import events, runs
from orchestrator.models.budget import Spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection, Row

    from orchestrator.journal.events import RunState
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import Lease
    from orchestrator.journal.state.status import RunStatus
    from orchestrator.journal.store.database import Database

SETTLING_SECONDS = 0.25
"""How long after its last event a run is taken to be in motion: longer than its owner keeps an event to itself."""

_LEAN_DATA = sa.case((events.c.type.in_(("step.succeeded", "run.succeeded")), "{}"), else_=events.c.data)
"""The data of an event for who does not look at outputs, such as the fold."""

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
_RUNNING: tuple[RunState, ...] = ("running", "interrupted", "waiting")
"""The states that are told apart only by looking at the events and the owner."""

_PAGE = 500


def head(database: Database, connection: Connection, run_id: str) -> Row[Any]:
    """Return the run's row.

    Raises:
        RunNotFound: there is no such run.
    """
    row = connection.execute(_heads(database).where(runs.c.run_id == storable(run_id))).first()
    if row is None:
        raise not_found(connection, database.url, run_id)
    return row


def status(database: Database, run_id: str) -> RunStatus:
    """Return where a run stands, whoever executes it.

    Raises:
        RunNotFound: there is no such run.
    """
    with database.read() as connection:
        return _statuses(database, connection, [head(database, connection, run_id)])[0]


def newest(database: Database, wanted: RunFilter, limit: int) -> list[RunStatus]:
    """Return the newest runs that are wanted, newest first."""
    state = wanted.state
    found: list[RunStatus] = []
    before: int | None = None
    query = _heads(database).order_by(runs.c.key.desc()).limit(limit)
    if state is not None:
        query = query.where(runs.c.state == ("running" if state in _RUNNING else state))
    query = query.where(*_conditions(wanted))
    with database.read() as connection:
        while len(found) < limit:
            page = query if before is None else query.where(runs.c.key < before)
            heads = connection.execute(page).all()
            if not heads:
                break
            before = heads[-1].key
            found += [s for s in _statuses(database, connection, heads) if state is None or s.state == state]
    return found[:limit]


def _conditions(wanted: RunFilter) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.pipeline is not None:
        yield runs.c.pipeline == storable(wanted.pipeline)
    if wanted.batch is not None:
        yield runs.c.batch == wanted.batch
    if wanted.since is not None:
        yield runs.c.created_at >= wanted.since
    for label in wanted.labels:
        created = sa.select(sa.literal(1)).where(events.c.run == runs.c.key, events.c.seq == 1)
        yield created.where(events.c.data.contains(f"{encode(label_key(label))}:true", autoescape=True)).exists()


def batches(database: Database, limit: int) -> list[BatchStatus]:
    """Return the newest batches, newest first: how their rows stand, each by its newest run."""
    columns = (runs.c.batch, sa.func.min(runs.c.created_at), sa.func.max(runs.c.key), sa.func.max(runs.c.pipeline))
    amounts = tuple(sa.func.sum(column) for column in (runs.c.usd, runs.c.tokens, runs.c.requests))
    query = sa.select(*columns, *amounts).where(runs.c.batch.is_not(None)).group_by(runs.c.batch)
    with database.read() as connection:
        found = connection.execute(query.order_by(sa.func.max(runs.c.key).desc()).limit(limit)).all()
    statuses = []
    for batch_id, created_at, _, pipeline, usd, tokens, requests in found:
        states: Counter[str] = Counter(state for _, _, state in batch(database, batch_id))
        spent = Spent(float(usd or 0.0), int(tokens or 0), int(requests or 0))
        statuses.append(BatchStatus(batch_id, pipeline, created_at, states.total(), dict(states), spent))
    return statuses


def batch(database: Database, batch_id: str) -> Iterator[tuple[int, str, RunState]]:
    """Yield the rows of a batch in order, each with its newest run and where that stands."""
    last: tuple[int, str, RunState] | None = None
    after = (-1, 0)
    query = _heads(database).where(runs.c.batch == batch_id).order_by(runs.c.batch_row, runs.c.key).limit(_PAGE)
    while True:
        with database.read() as connection:
            rest = query.where(sa.tuple_(runs.c.batch_row, runs.c.key) > sa.tuple_(*after))
            heads = connection.execute(rest).all()
            unclear = [row for row in heads if row.state == "running"]
            states = {s.run_id: s.state for s in _statuses(database, connection, unclear)} if unclear else {}
        for row in heads:
            if last is not None and last[0] != row.batch_row:
                yield last
            last = (row.batch_row, row.run_id, states.get(row.run_id, row.state))
        if len(heads) < _PAGE:
            break
        after = (heads[-1].batch_row, heads[-1].key)
    if last is not None:
        yield last


def running_states(database: Database) -> dict[str, int]:
    """Count the runs that have not ended and are not paused by where they stand."""
    counts: dict[str, int] = {}
    after = 0
    query = _heads(database).where(runs.c.state == "running").order_by(runs.c.key).limit(_PAGE)
    while True:
        with database.read() as connection:
            heads = connection.execute(query.where(runs.c.key > after)).all()
            for found in _statuses(database, connection, heads) if heads else ():
                counts[found.state] = counts.get(found.state, 0) + 1
        if len(heads) < _PAGE:
            return counts
        after = heads[-1].key


def load(database: Database, lease: Lease) -> RunFold:
    """Return the fold's state of a run that this process owns.

    Raises:
        LeaseLost: another process has taken the run.
    """
    with database.read() as connection:
        row = head(database, connection, lease.run_id)
        if row.fence != lease.fence:
            raise lease_lost(database.url, lease)
        return folds(database, connection, [row])[0]


def _heads(database: Database) -> sa.Select[Any]:
    return sa.select(*_HEAD, database.clock().label("now"))


def _statuses(database: Database, connection: Connection, heads: Sequence[Row[Any]]) -> list[RunStatus]:
    found = []
    holders: dict[str | None, Owner | None] = {}  # one process may own many of them
    now = time.time()
    for row, state in zip(heads, folds(database, connection, heads), strict=True):
        if row.lease_until is None or row.lease_until <= row.now:
            held_by = None
        elif row.owner in holders:
            held_by = holders[row.owner]
        else:
            held_by = holders[row.owner] = holder(row)
        found.append(
            status_of(
                state,
                now,
                interrupted=held_by is None,
                moving=now - state.last_at < SETTLING_SECONDS,
                owner=None if held_by is None else str(held_by),
            )
        )
    return found


def folds(database: Database, connection: Connection, heads: Sequence[Row[Any]]) -> list[RunFold]:
    """Return the fold's states of the runs of these rows."""
    states = {row.key: RunFold.from_dict(json.loads(row.snapshot)) for row in heads}
    # By the numbers of the snapshots just read: a newer one may be written in between.
    tails = [sa.and_(events.c.run == row.key, events.c.seq > row.snapshot_seq) for row in heads]
    query = sa.select(
        events.c.run, events.c.seq, events.c.at, events.c.type, events.c.path, events.c.attempt, _LEAN_DATA
    )
    for row in connection.execute(query.where(sa.or_(*tails)).order_by(events.c.run, events.c.seq)):
        state = states[row[0]]
        data = json.loads(row[6])
        if row[3] == "step.waiting":  # a question may be large, and it is part of the status
            data = resolve(database, data)
        fold(state, Event(state.run_id, row[1], row[2], row[3], row[4], row[5], data))
    return [states[row.key] for row in heads]

"""Batches of runs: how many of their rows were read, and the states of those."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.records import BatchStatus
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.queries.statuses import listed_statuses, select_heads
from orchestrator.journal.store.stored_data import stored_problems
from orchestrator.journal.store.tables import batches, runs
from orchestrator.models.budget import Spent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.events import RunState
    from orchestrator.journal.records import BatchProgress
    from orchestrator.journal.store.database import Database

_PAGE = 500


def put_batch(database: Database, batch_id: str, pipeline: str, progress: BatchProgress) -> None:
    """Record how much of a batch has been read.

    A batch that is continued reads its rows from the beginning: the larger numbers stay, until the end is reached.
    """
    row = {
        "batch": batch_id,
        "pipeline": storable(pipeline),
        "created_at": time.time(),
        "rows": progress.rows,
        "complete": progress.complete,
        "invalid": progress.invalid,
        "problems": json.dumps([each.to_dict() for each in progress.problems]),
    }
    with database.write() as connection:
        statement = upsert(connection, batches).values(row)
        changed: dict[str, sa.ColumnElement[Any]] = {
            name: statement.excluded[name] for name in ("rows", "invalid", "complete", "problems")
        }
        if not progress.complete:
            larger = {"rows": "rows", "invalid": "invalid", "problems": "invalid"}
            changed = {
                name: sa.case((batches.c[by] > changed[by], batches.c[name]), else_=changed[name])
                for name, by in larger.items()
            }
        connection.execute(statement.on_conflict_do_update(index_elements=["batch"], set_=changed))


def batch_exists(database: Database, batch_id: str) -> bool:
    """Return whether a batch was started."""
    with database.read() as connection:
        return connection.execute(sa.select(batches.c.batch).where(batches.c.batch == batch_id)).first() is not None


def newest_batches(database: Database, limit: int, *, only: str | None = None) -> list[BatchStatus]:
    """Return the newest batches, newest first: the states of their rows, each by its newest run; or `only` one."""
    amounts = (sa.func.sum(runs.c[name]).label(name) for name in ("usd", "tokens", "requests"))
    query = (
        sa.select(batches, *amounts)
        .outerjoin(runs, runs.c.batch == batches.c.batch)
        .group_by(*batches.c)
        .order_by(batches.c.created_at.desc(), batches.c.batch.desc())
        .limit(limit)
    )
    if only is not None:
        query = query.where(batches.c.batch == storable(only))
    with database.read() as connection:
        found = connection.execute(query).all()
    statuses = []
    for row in found:
        states: Counter[str] = Counter(state for _, _, state in batch_rows(database, row.batch))
        if row.invalid:
            states["invalid"] = row.invalid
        statuses.append(
            BatchStatus(
                row.batch,
                row.pipeline,
                row.created_at,
                rows=states.total(),
                states=dict(states),
                spent=Spent(float(row.usd or 0.0), int(row.tokens or 0), int(row.requests or 0)),
                pending=max(0, row.rows - states.total()),
                complete=bool(row.complete),
                problems=stored_problems(database.url, row.batch, row.problems),
            )
        )
    return statuses


def batch_rows(database: Database, batch_id: str) -> Iterator[tuple[int, str, RunState]]:
    """Yield the rows of a batch that have runs, in order, each with its newest run and its state."""
    last: tuple[int, str, RunState] | None = None
    after = (-1, 0)
    query = select_heads(database).where(runs.c.batch == batch_id).order_by(runs.c.batch_row, runs.c.key).limit(_PAGE)
    while True:
        with database.read() as connection:
            rest = query.where(sa.tuple_(runs.c.batch_row, runs.c.key) > sa.tuple_(*after))
            heads = connection.execute(rest).all()
            unclear = [row for row in heads if row.state == "running"]
            states = {s.run_id: s.state for s in listed_statuses(database, connection, unclear)} if unclear else {}
        for row in heads:
            if last is not None and last[0] != row.batch_row:
                yield last
            last = (row.batch_row, row.run_id, states.get(row.run_id, row.state))
        if len(heads) < _PAGE:
            break
        after = (heads[-1].batch_row, heads[-1].key)
    if last is not None:
        yield last


def remove_empty_batches(connection: Connection, batch_ids: Iterable[str], *, without: Sequence[int]) -> None:
    """Remove those of the batches that have no runs except for some that are being removed."""
    has_runs = sa.exists().where(runs.c.batch == batches.c.batch, runs.c.key.not_in(without))
    connection.execute(batches.delete().where(batches.c.batch.in_(list(batch_ids)), ~has_runs))

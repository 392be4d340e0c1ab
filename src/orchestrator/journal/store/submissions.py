"""The runs that are submitted to workers: which of them a worker may take, and why none takes them.

A submitted run is in the queue while it is to be executed, whether or not a worker has it: the lease alone says that.
So nothing has to be put back when a worker is killed.
"""

from __future__ import annotations

import math
import time
from itertools import combinations
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.records import LEASE_SECONDS, Lease
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.event_columns import event_id, last_id
from orchestrator.journal.store.stored_data import stored_owner
from orchestrator.journal.store.tables import commands, events, refusals, runs, takeovers
from orchestrator.journal.worker_records import MOST_LABELS, QueueLength

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection, Row

    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.store.database import Database

_NEVER: Final = 2.0**40
"""When a run is due that only waits for a person: a command makes it due. Seconds since the epoch."""

_WOKEN: Final = 0.0
"""When a run is due to which something has happened since a worker took it, or before one did."""

_TAKEN: Final = 1.0
"""When a run is due, should its worker release it, to which nothing has happened since a worker took it."""

_REFUSED_SECONDS: Final = 600.0
"""How long workers of a kind leave a run alone that one of them could not execute: what it lacked may come."""

_ACHIEVEMENTS: Final = ("step.succeeded", "step.skipped", "step.answered", "run.failed", "run.cancelled")

_DEAD_SECONDS: Final = 0.5
"""Seconds between two looks for processes of this machine that have ended."""

_REASON: Final = 500  # characters


class ClaimedRun(Struct, frozen=True):
    """A run that a worker has taken: its lease, and how often workers have ended with it since it achieved something.

    `takeovers` is 0 for a run whose last owner has released it.
    """

    lease: Lease
    takeovers: int = 0


def labels_text(labels: Iterable[str]) -> str:
    """Return a set of labels as the store compares it."""
    return encode(sorted({storable(label) for label in labels}))


class Submissions:
    """The submitted runs of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at = -math.inf

    def claim(
        self, owner: Owner, *, labels: Collection[str], kind: str, limit: int, ttl: float = LEASE_SECONDS
    ) -> list[ClaimedRun]:
        """Take at most `limit` due runs that no live process has, those with the highest priority and the oldest first.

        Of several workers that ask at once, each gets others. Runs that demand other labels than these, or that a
        worker of this `kind` has refused a moment ago, are left to others.
        """
        offered = [
            labels_text(some) for count in range(MOST_LABELS + 1) for some in combinations(sorted(set(labels)), count)
        ]
        now = self._database.clock()
        refused = sa.exists().where(
            refusals.c.run == runs.c.key, refusals.c.kind == kind, refusals.c.at > now - _REFUSED_SECONDS
        )
        query = (
            sa.select(runs.c.key, runs.c.run_id, runs.c.fence, runs.c.owner, now.label("now"))
            .where(*_is_free(now), runs.c.runs_on.in_(offered), ~refused)
            .order_by(runs.c.priority.desc(), runs.c.key)
            .limit(limit)
            .with_for_update(skip_locked=True, of=runs)
        )
        with self._database.write() as connection:
            self._release_dead(connection)
            found = connection.execute(query).all()
            return [self._take(connection, row, owner, ttl) for row in found]

    def _release_dead(self, connection: Connection) -> None:
        """Now and then, end the leases of processes of this machine that have ended: theirs need not be waited for."""
        if time.monotonic() < self._looked_at + _DEAD_SECONDS:
            return
        self._looked_at = time.monotonic()
        held = (runs.c.due_at.is_not(None), runs.c.state == sa.literal_column("'running'"), runs.c.owner.is_not(None))
        owners = connection.execute(sa.select(runs.c.owner).where(*held).distinct()).scalars().all()
        dead = [owner for owner in owners if stored_owner(self._database.url, "", owner).is_dead()]
        if dead:
            connection.execute(runs.update().where(*held, runs.c.owner.in_(dead)).values(lease_until=0.0))

    def _take(
        self, connection: Connection, row: Row[tuple[int, str, int, str, float]], owner: Owner, ttl: float
    ) -> ClaimedRun:
        connection.execute(
            runs.update()
            .where(runs.c.key == row.key)
            .values(fence=row.fence + 1, owner=encode(owner.to_dict()), lease_until=row.now + ttl, due_at=_TAKEN)
        )
        lease = Lease(row.run_id, owner, row.fence + 1, ttl, row.key)
        return ClaimedRun(lease, 0 if row.owner is None else self._count_takeover(connection, row.key))

    def _count_takeover(self, connection: Connection, run: int) -> int:
        """Count that the worker of a run has ended without releasing it, from when the run last achieved something."""
        last = sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0))
        of_run = events.c.id.between(event_id(run, 0), last_id(run))
        achieved = connection.execute(last.where(of_run, events.c.type.in_(_ACHIEVEMENTS))).scalar_one()
        query = sa.select(takeovers.c.count).where(takeovers.c.run == run, takeovers.c.achieved == achieved)
        count = (connection.execute(query).scalar() or 0) + 1
        entry = upsert(connection, takeovers).values(run=run, count=count, achieved=achieved)
        connection.execute(
            entry.on_conflict_do_update(index_elements=[takeovers.c.run], set_={"count": count, "achieved": achieved})
        )
        return count

    @patient(locks=True)
    def refuse(self, lease: Lease, *, kind: str, worker: str, reason: str) -> None:
        """Note why workers of this kind cannot execute a run: they do not take it again."""
        values = {"run": lease.key, "kind": kind, "worker": storable(worker), "reason": storable(reason[:_REASON])}
        now = self._database.clock()
        with self._database.write() as connection:
            entry = upsert(connection, refusals).values(**values, at=now)
            connection.execute(
                entry.on_conflict_do_update(
                    index_elements=[refusals.c.run, refusals.c.kind],
                    set_={name: entry.excluded[name] for name in ("worker", "reason", "at")},
                )
            )

    @patient(locks=True)
    def sleep(self, lease: Lease) -> bool:
        """Have no worker take a run once it is released, before a command wakes it.

        Return false if a command has come since the run was taken, or since the last call: then it does not sleep.
        """
        own = _held_under(lease)
        with self._database.write() as connection:
            pending = sa.select(commands.c.id).where(commands.c.run == lease.key).limit(1)
            if connection.execute(pending).first() is None:
                sleeps = own.where(runs.c.due_at != _WOKEN).values(due_at=_NEVER)
                if connection.execute(sleeps).rowcount:
                    return True
            connection.execute(own.values(due_at=_TAKEN))
            return False

    @patient(locks=True)
    def stay(self, lease: Lease) -> None:
        """Take back that a run sleeps."""
        with self._database.write() as connection:
            connection.execute(_held_under(lease).values(due_at=_TAKEN))

    @patient()
    def lengths(self) -> list[QueueLength]:
        """Count the due runs that no process has, by the labels that they demand."""
        now = self._database.clock()
        query = (
            sa.select(runs.c.runs_on, sa.func.count(), sa.func.min(runs.c.created_at))
            .where(*_is_free(now))
            .group_by(runs.c.runs_on)
        )
        with self._database.read() as connection:
            found = [
                QueueLength(stored_labels(text), count, oldest) for text, count, oldest in connection.execute(query)
            ]
        return sorted(found, key=lambda each: each.labels)


def _held_under(lease: Lease) -> sa.Update:
    """Return the update of a run, if the lease is still valid."""
    return runs.update().where(runs.c.key == lease.key, runs.c.fence == lease.fence)


def _is_free(now: sa.ColumnElement[float]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of a run that a worker may take: it is due and has no owner, or its owner is lost."""
    return (
        runs.c.due_at.is_not(None),
        runs.c.state == sa.literal_column("'running'"),
        sa.or_(sa.and_(runs.c.owner.is_(None), runs.c.due_at <= now), runs.c.lease_until <= now),
    )


def stored_labels(text: str | None) -> tuple[str, ...]:
    """Return the labels of a set as `labels_text` has written it; none of what cannot be read."""
    from msgspec import DecodeError, ValidationError
    from msgspec.json import decode

    try:
        return tuple(decode(text or "[]", type=list[str]))
    except (DecodeError, ValidationError):
        return ()


def wake(connection: Connection, keys: Sequence[int]) -> None:
    """Make submitted runs due now, as something has happened to them."""
    if keys:
        due = runs.update().where(runs.c.key.in_(keys), runs.c.due_at.is_not(None))
        connection.execute(due.values(due_at=_WOKEN))


def refusals_of(connection: Connection, keys: Collection[int]) -> Mapping[int, str]:
    """Return the latest reason for which workers have refused each of these runs, with the worker's name."""
    if not keys:
        return {}
    query = sa.select(refusals.c.run, refusals.c.worker, refusals.c.reason).order_by(refusals.c.at)
    rows = connection.execute(query.where(refusals.c.run.in_(list(keys)))).all()
    return {row.run: f"{row.worker} cannot execute it: {row.reason}" for row in rows}

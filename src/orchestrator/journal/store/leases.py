"""Leases: the right to record the events of a run, acquired, renewed and released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.errors import LeaseLost, RunOwned
from orchestrator.journal.records import Lease
from orchestrator.journal.store import blob_codec as blob_codec
from orchestrator.journal.store.queries.lookup import run_not_found
from orchestrator.journal.store.stored_data import damaged, stored_lease_end, stored_owner
from orchestrator.journal.store.submissions import wake
from orchestrator.journal.store.tables import REMOVED, runs
from orchestrator.remedies import Cancel, Follow, ShowStatus

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.store.database import Database

_RELEASE = (
    runs.update()
    .where(runs.c.key == sa.bindparam("held_key"), runs.c.fence == sa.bindparam("held_fence"))
    .values(owner=None, lease_until=None, fence=runs.c.fence + 1)
)


def acquire(database: Database, run_id: str, owner: Owner, ttl: float) -> Lease:
    """Acquire a run without an owner: it was released, its lease expired, or its owner's process has ended.

    Raises:
        RunNotFound: the run does not exist.
        RunOwned: a live process owns it, possibly this one.
    """
    with database.write() as connection:
        query = sa.select(
            runs.c.key, runs.c.fence, runs.c.owner, runs.c.lease_until, database.clock().label("now")
        ).where(runs.c.run_id == blob_codec.storable(run_id), runs.c.state != REMOVED)
        row = connection.execute(query.with_for_update()).first()
        if row is None:
            raise run_not_found(connection, database.url, run_id)
        if not isinstance(row.fence, int):
            raise damaged(database.url, f"the fence of run `{run_id}` is not a number")
        held_by = holder(database.url, run_id, row)
        if held_by is not None:
            raise RunOwned(
                f"run `{run_id}` is being executed by {held_by}",
                run_id=run_id,
                owner=str(held_by),
                remedies=[Follow(run_id), Cancel(run_id)],
            )
        fence = row.fence + 1
        connection.execute(
            runs.update()
            .where(runs.c.key == row.key)
            .values(fence=fence, owner=blob_codec.encode(owner.to_dict()), lease_until=row.now + ttl)
        )
    return Lease(run_id, owner, fence, ttl, row.key)


def renew(database: Database, lease: Lease) -> None:
    """Extend the lease to `ttl` seconds from now.

    Raises:
        LeaseLost: another process has taken the run.
    """
    with database.write() as connection:
        held = connection.execute(
            runs.update()
            .where(runs.c.key == lease.key, runs.c.fence == lease.fence)
            .values(lease_until=database.clock() + lease.ttl)
        )
        if held.rowcount == 0:
            raise lease_lost(database.url, lease)


def release(database: Database, lease: Lease) -> None:
    """Release the run, so that any process may acquire it at once. A lost lease is ignored.

    A worker may take a submitted run at once.
    """
    with database.write() as connection:
        released = connection.execute(_RELEASE, {"held_key": lease.key, "held_fence": lease.fence})
        if released.rowcount:
            wake(connection, [lease.key])


def lease_lost(url: str, lease: Lease) -> LeaseLost:
    """Return the error of a lease that is no longer valid."""
    return LeaseLost(
        f"another process has taken over run `{lease.run_id}`",
        url=url,
        remedies=[ShowStatus(lease.run_id)],
    )


def holder(url: str, run_id: str, row: Row[Any]) -> Owner | None:
    """Return who holds the run of this row now, None if it is free. The row has the time `now`."""
    if row.owner is None or not stored_lease_end(url, run_id, row.lease_until) > row.now:
        return None
    owner = stored_owner(url, run_id, row.owner)
    return None if owner.is_dead() else owner

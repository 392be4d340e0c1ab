"""Which runs with a concurrency key may be executed, over all processes that share the store.

A run is admitted by an entry under the fence of its lease. The entry of a run that was released, or that another
process has taken over, counts no more, so nothing has to be cleaned up when a process is killed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.records import Lease, RunLimit
from orchestrator.journal.state.status import QueuedRun
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.concurrency_line import ConcurrencyLine, Contender
from orchestrator.journal.store.leases import lease_lost
from orchestrator.journal.store.stored_data import stored_lease_end, stored_owner
from orchestrator.journal.store.tables import commands, concurrency, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database


class RunRequest(Struct, frozen=True):
    """A run that asks to be executed. If it `waits`, `limit.on_full` does not apply to it."""

    lease: Lease
    limit: RunLimit
    waits: bool


class RunAdmission(Struct, frozen=True):
    """Whether a run may be executed; `queued` is what it waits for else.

    `refused`: it never may, as it does not wait.
    """

    admitted: bool
    queued: QueuedRun | None = None
    refused: bool = False


class ConcurrencyStore:
    """The runs of a store that have concurrency keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, lease: Lease, limit: RunLimit, *, waits: bool) -> RunAdmission:
        """As `ask_all`, for one run.

        Raises:
            LeaseLost: Another process has taken the run.
        """
        found = self.ask_all([RunRequest(lease, limit, waits)])[0]
        if found is None:
            raise lease_lost(self._database.url, lease)
        return found

    def ask_all(self, asking: Sequence[RunRequest]) -> list[RunAdmission | None]:
        """Decide about runs that have one key, the oldest first, in one transaction.

        Each is admitted if fewer than its `limit.max` others are admitted or come before it; else it is put in line.
        Unless it waits, `limit.on_full` decides what happens then. A run that was admitted remains so. For runs that
        another process has taken, there is None.
        """
        key = storable(asking[0].limit.key)
        with self._database.write() as connection:
            self._database.dialect.lock_name(connection, f"concurrency {key}")
            held = self._enter(connection, [each.lease for each in asking], key)
            line = ConcurrencyLine(contenders(self._database, connection, [key]).get(key, ()))
            found = [self._decided(connection, each, line) if each.lease.key in held else None for each in asking]
            admitted = [
                each.lease.key
                for each, admission in zip(asking, found, strict=True)
                if admission is not None and admission.admitted
            ]
            self._mark(connection, admitted, admitted=True)
            return found

    def _decided(self, connection: Connection, asking: RunRequest, line: ConcurrencyLine) -> RunAdmission | None:
        """Decide about one run, and keep the line as the store will have it."""
        lease, limit = asking.lease, asking.limit
        if not line.has(lease):
            return None
        if line.is_admitted(lease.key):
            return RunAdmission(True)
        if line.ahead(lease.key) >= limit.max:
            self._evict(connection, line)
        if line.ahead(lease.key) < limit.max:
            line.admit(lease.key)
            return RunAdmission(True)
        queued = line.queued(lease.key, limit.key, limit.max)
        if asking.waits or limit.on_full == "queue":
            return RunAdmission(False, queued)
        if limit.on_full == "skip":
            connection.execute(concurrency.delete().where(concurrency.c.run == lease.key))
            line.remove(lease.key)
            return RunAdmission(False, queued, refused=True)
        self._cancel_oldest(connection, line, asking)
        return RunAdmission(False, queued)

    def withdraw(self, lease: Lease) -> None:
        """Remove a run that has not begun from the line, or take back its admission."""
        with self._database.write() as connection:
            own = concurrency.delete().where(concurrency.c.run == lease.key, concurrency.c.fence == lease.fence)
            connection.execute(own)

    def contenders(self, keys: Iterable[str]) -> dict[str, list[Contender]]:
        """Return the runs that have these keys, by key, oldest first."""
        with self._database.read() as connection:
            return contenders(self._database, connection, keys)

    def _enter(self, connection: Connection, leases: Sequence[Lease], key: str) -> set[int]:
        """Put runs in line, unless they are there, and forget the entries of others; return those that are held.

        Their leases are extended, so that they count.
        """
        until = self._database.clock() + min(lease.ttl for lease in leases)
        held: set[int] = set()
        for some in chunks(leases):
            own = sa.tuple_(runs.c.key, runs.c.fence).in_([(lease.key, lease.fence) for lease in some])
            held |= set(connection.scalars(runs.update().where(own).values(lease_until=until).returning(runs.c.key)))
        values = [
            {"run": lease.key, "key": key, "fence": lease.fence, "admitted": False, "cancelled": False}
            for lease in leases
            if lease.key in held
        ]
        if values:
            entry = upsert(connection, concurrency)
            connection.execute(
                entry.on_conflict_do_update(
                    index_elements=[concurrency.c.run],
                    set_={name: entry.excluded[name] for name in ("key", "fence", "admitted", "cancelled")},
                    where=concurrency.c.fence != entry.excluded.fence,
                ),
                values,
            )
        current = sa.select(runs.c.fence).where(runs.c.key == concurrency.c.run).scalar_subquery()
        connection.execute(
            concurrency.delete().where(concurrency.c.key == key, concurrency.c.fence.is_distinct_from(current))
        )
        return held

    def _evict(self, connection: Connection, line: ConcurrencyLine) -> None:
        """Take their admitted runs from processes whose leases have expired."""
        for each in line.lapsed:
            taken = connection.execute(
                runs.update()
                .where(runs.c.key == each.run, runs.c.fence == each.fence)
                .where(runs.c.lease_until <= self._database.clock())
                .values(owner=None, lease_until=None, fence=runs.c.fence + 1)
            )
            if taken.rowcount:
                line.remove(each.run)

    def _cancel_oldest(self, connection: Connection, line: ConcurrencyLine, asking: RunRequest) -> None:
        """Send commands to end to as many of the oldest runs as are too many."""
        key, most = asking.limit.key, asking.limit.max
        remaining = line.remaining(asking.lease.key)
        ending = remaining[: max(0, len(remaining) - most + 1)]
        reason = encode({"reason": f"run `{asking.lease.run_id}` replaces it: both have the concurrency key `{key}`"})
        for each in ending:
            command = {"run": each.run, "kind": "cancel", "data": reason, "by": "", "at": time.time()}
            connection.execute(commands.insert().values(command))
            line.cancel(each.run)
        self._mark(connection, [each.run for each in ending], cancelled=True)

    def _mark(self, connection: Connection, keys: Sequence[int], **values: bool) -> None:
        for some in chunks(keys):
            connection.execute(concurrency.update().where(concurrency.c.run.in_(some)).values(**values))


def contenders(database: Database, connection: Connection, keys: Iterable[str]) -> dict[str, list[Contender]]:
    """Return the runs that have these keys, by key, oldest first."""
    wanted: Mapping[str, str] = {storable(key): key for key in keys}
    query = (
        sa.select(concurrency, runs.c.run_id, runs.c.owner, runs.c.lease_until, database.clock().label("now"))
        .join(runs, sa.and_(runs.c.key == concurrency.c.run, runs.c.fence == concurrency.c.fence))
        .order_by(concurrency.c.run)
    )
    found: dict[str, list[Contender]] = {}
    dead: dict[str, bool] = {}  # one process may own many of them
    for some in chunks(sorted(wanted)):
        for row in connection.execute(query.where(concurrency.c.key.in_(some), runs.c.owner.is_not(None))):
            if row.owner not in dead:
                dead[row.owner] = stored_owner(database.url, row.run_id, row.owner).is_dead()
            if not dead[row.owner]:
                lapsed = not stored_lease_end(database.url, row.run_id, row.lease_until) > row.now
                each = Contender(row.run, row.run_id, row.fence, row.admitted, row.cancelled, lapsed)
                found.setdefault(wanted[row.key], []).append(each)
    return found

"""Which runs with a concurrency key may be executed, over all processes that share the store.

A run is admitted by an entry under the fence of its lease. The entry of a run that was released, or that another
process has taken over, counts no more, so nothing has to be cleaned up when a process is killed.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.state.status import QueuedRun
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.leases import lease_lost
from orchestrator.journal.store.stored_data import stored_lease_end, stored_owner
from orchestrator.journal.store.tables import commands, concurrency, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.records import Lease, RunLimit
    from orchestrator.journal.store.database import Database


_MOST_NAMED: Final = 20


class Contender(Struct, frozen=True):
    """A run that has a key: admitted, or in line. `run` is the store's number for it: they count up.

    `lapsed`: its lease has expired, and its process may come back. `cancelled`: it was sent a command to end.
    """

    run: int
    run_id: str
    fence: int
    admitted: bool
    cancelled: bool = False
    lapsed: bool = False


class RunAdmission(Struct, frozen=True):
    """Whether a run may be executed; `before` are the runs that come before it, the admitted ones first.

    `refused`: it never may, as it does not wait.
    """

    admitted: bool
    before: tuple[Contender, ...] = ()
    refused: bool = False


class ConcurrencyStore:
    """The runs of a store that have concurrency keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, lease: Lease, limit: RunLimit, *, waits: bool) -> RunAdmission:
        """Admit a run if fewer than `limit.max` others are admitted or come before it; else put it in line.

        Unless it `waits`, `limit.on_full` decides what happens then. A run that was admitted remains so.

        Raises:
            LeaseLost: Another process has taken the run.
        """
        key = storable(limit.key)
        with self._database.write() as connection:
            self._database.dialect.lock_name(connection, f"concurrency {key}")
            self._enter(connection, lease, key)
            found = contenders(self._database, connection, [key]).get(key, [])
            own = next((each for each in found if each.run == lease.key and not each.lapsed), None)
            if own is None:
                raise lease_lost(self._database.url, lease)
            if own.admitted:
                return RunAdmission(True)
            before = comes_before(found, lease.key)
            if len(before) >= limit.max:
                before = self._without_evicted(connection, before)
            if len(before) < limit.max:
                self._mark(connection, [lease.key], admitted=True)
                return RunAdmission(True)
            if waits or limit.on_full == "queue":
                return RunAdmission(False, before)
            if limit.on_full == "skip":
                connection.execute(concurrency.delete().where(concurrency.c.run == lease.key))
                return RunAdmission(False, before, refused=True)
            self._cancel_oldest(connection, before, limit, by=lease.run_id)
            return RunAdmission(False, before)

    def withdraw(self, lease: Lease) -> None:
        """Remove a run that has not begun from the line, or take back its admission."""
        with self._database.write() as connection:
            own = concurrency.delete().where(concurrency.c.run == lease.key, concurrency.c.fence == lease.fence)
            connection.execute(own)

    def contenders(self, keys: Iterable[str]) -> dict[str, list[Contender]]:
        """Return the runs that have these keys, by key, oldest first."""
        with self._database.read() as connection:
            return contenders(self._database, connection, keys)

    def _enter(self, connection: Connection, lease: Lease, key: str) -> None:
        """Put a run in line, unless it is there; extend its lease, so that it counts; forget the entries of others."""
        held = connection.execute(
            runs.update()
            .where(runs.c.key == lease.key, runs.c.fence == lease.fence)
            .values(lease_until=self._database.clock() + lease.ttl)
        )
        if held.rowcount == 0:
            raise lease_lost(self._database.url, lease)
        values = {"run": lease.key, "key": key, "fence": lease.fence, "admitted": False, "cancelled": False}
        entry = upsert(connection, concurrency).values(values)
        connection.execute(
            entry.on_conflict_do_update(
                index_elements=[concurrency.c.run],
                set_={name: entry.excluded[name] for name in ("key", "fence", "admitted", "cancelled")},
                where=concurrency.c.fence != lease.fence,
            )
        )
        current = sa.select(runs.c.fence).where(runs.c.key == concurrency.c.run).scalar_subquery()
        connection.execute(
            concurrency.delete().where(concurrency.c.key == key, concurrency.c.fence.is_distinct_from(current))
        )

    def _without_evicted(self, connection: Connection, before: Sequence[Contender]) -> tuple[Contender, ...]:
        """Take their runs from processes whose leases have expired; return the others."""
        kept = []
        for each in before:
            if each.lapsed:
                taken = connection.execute(
                    runs.update()
                    .where(runs.c.key == each.run, runs.c.fence == each.fence)
                    .where(runs.c.lease_until <= self._database.clock())
                    .values(owner=None, lease_until=None, fence=runs.c.fence + 1)
                )
                if taken.rowcount:
                    continue
            kept.append(each)
        return tuple(kept)

    def _cancel_oldest(self, connection: Connection, before: Sequence[Contender], limit: RunLimit, *, by: str) -> None:
        """Send commands to end to as many of the oldest runs as are too many."""
        remaining = sorted((each for each in before if not each.cancelled), key=lambda each: each.run)
        ending = remaining[: max(0, len(remaining) - limit.max + 1)]
        reason = encode({"reason": f"run `{by}` replaces it: both have the concurrency key `{limit.key}`"})
        for each in ending:
            command = {"run": each.run, "kind": "cancel", "data": reason, "by": "", "at": time.time()}
            connection.execute(commands.insert().values(command))
        self._mark(connection, [each.run for each in ending], cancelled=True)

    def _mark(self, connection: Connection, keys: Sequence[int], **values: bool) -> None:
        if keys:
            connection.execute(concurrency.update().where(concurrency.c.run.in_(keys)).values(**values))


def comes_before(found: Iterable[Contender], run: int) -> tuple[Contender, ...]:
    """Return the runs that come before another one: those that are admitted, and then those that are older."""
    others = [each for each in found if each.run != run]
    admitted = [each for each in others if each.admitted]
    return (*admitted, *(each for each in others if not (each.admitted or each.lapsed) and each.run < run))


class ConcurrencyLine:
    """The runs that have one key. What comes before one of them is counted without looking at all of them."""

    def __init__(self, found: Iterable[Contender]) -> None:
        """`found` are ordered, the oldest first."""
        self._fences: dict[int, int] = {}
        self._admitted: list[Contender] = []
        self._others: list[Contender] = []
        for each in found:
            self._fences[each.run] = each.fence
            if each.admitted:
                self._admitted.append(each)
            elif not each.lapsed:
                self._others.append(each)
        self._runs = [each.run for each in self._others]
        self._cancelled = list(accumulate((each.cancelled for each in self._others), initial=0))

    def has(self, lease: Lease) -> bool:
        """Whether a run is among them, under this lease."""
        return self._fences.get(lease.key) == lease.fence

    def lively(self, run: int) -> int:
        """Return how many come before a run whose leases have not expired."""
        return sum(not each.lapsed for each in self._admitted_before(run)) + bisect_left(self._runs, run)

    def staying(self, run: int) -> int:
        """Return how many come before a run that were not sent a command to end."""
        place = bisect_left(self._runs, run)
        admitted = sum(not each.cancelled for each in self._admitted_before(run))
        return admitted + place - self._cancelled[place]

    def queued(self, run: int, key: str, most: int) -> QueuedRun:
        """Return what a run in line waits for."""
        admitted, place = self._admitted_before(run), bisect_left(self._runs, run)
        named = [*admitted[:_MOST_NAMED], *self._others[: min(place, _MOST_NAMED)]][:_MOST_NAMED]
        return QueuedRun(key, most, tuple(each.run_id for each in named), len(admitted) + place)

    def _admitted_before(self, run: int) -> list[Contender]:
        return [each for each in self._admitted if each.run != run]


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

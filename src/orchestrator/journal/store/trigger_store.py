"""The triggers of a store: how far each schedule has been handled, who is firing it, and what it has fired."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.records import LEASE_SECONDS
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.stored_data import stored_lease_end, stored_object, stored_owner
from orchestrator.journal.store.tables import firings, triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection, Row

    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.store.database import Database

FiringState = Literal["due", "started", "skipped", "failed"]
"""`due`: its run will be started; `skipped`, `failed`: it has no run, for the firing's `reason`."""

KEPT_SECONDS: Final = 30 * 86_400.0
"""How long firings are kept, and with them the deliveries that are not accepted a second time."""

OVERLAP_SECONDS: Final = 60.0
"""How far back a changed schedule counts, so that servers with the old and the new file together lose no instant."""


class TriggerState(Struct, frozen=True):
    """What the store knows of a trigger. Times in seconds since the epoch."""

    trigger: str
    definition: str
    handled_until: float
    paused_at: float | None = None
    paused_by: str | None = None


class Firing(Struct, frozen=True):
    """One firing of a trigger. `cause` is what it fires for: a trigger fires once for each.

    `run_id` is the id of its run, also before that is started. `inputs` are null if they are evaluated at the start.
    """

    trigger: str
    cause: str
    instant: float
    created_at: float
    by: str
    run_id: str
    state: FiringState = "due"
    reason: str = ""
    fingerprint: str = ""
    inputs: Mapping[str, Any] | None = None


class TriggerLease(Struct, frozen=True):
    """The right to fire a trigger, with what the store knew of it when it was taken."""

    state: TriggerState
    fence: int


class TriggerStore:
    """The triggers in a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @patient(locks=True)
    def register(self, definitions: Mapping[str, str]) -> dict[str, TriggerState]:
        """Return the states of triggers by name; `definitions` are those of their schedules.

        The instants of a new trigger count from now; those of a changed schedule from a moment before now.
        """
        known = self._states(definitions)
        changed = [name for name, text in definitions.items() if name not in known or known[name].definition != text]
        if not changed:
            return known
        now = time.time()
        with self._database.write() as connection:
            for name in changed:
                row = {"trigger": storable(name), "definition": definitions[name], "handled_until": now, "fence": 0}
                connection.execute(upsert(connection, triggers).values(row).on_conflict_do_nothing())
                from_then = sa.case(
                    (triggers.c.handled_until > now - OVERLAP_SECONDS, triggers.c.handled_until),
                    else_=now - OVERLAP_SECONDS,
                )
                connection.execute(
                    triggers.update()
                    .where(triggers.c.trigger == storable(name), triggers.c.definition != definitions[name])
                    .values(definition=definitions[name], handled_until=from_then)
                )
        return self._states(definitions)

    def _states(self, names: Iterable[str]) -> dict[str, TriggerState]:
        wanted = {storable(name): name for name in names}
        with self._database.read() as connection:
            rows = connection.execute(sa.select(triggers)).all()
        return {wanted[row.trigger]: _state(row) for row in rows if row.trigger in wanted}

    @patient(locks=True)
    def pause(self, trigger: str, *, by: str) -> None:
        """Have a trigger start no runs; those that are due are skipped. A second call changes nothing."""
        with self._database.write() as connection:
            paused = connection.execute(
                triggers.update()
                .where(triggers.c.trigger == storable(trigger), triggers.c.paused_at.is_(None))
                .values(paused_at=time.time(), paused_by=storable(by))
            )
            if paused.rowcount:
                connection.execute(
                    firings.update()
                    .where(firings.c.trigger == storable(trigger), firings.c.state == "due")
                    .values(state="skipped", reason="the trigger was paused")
                )

    @patient(locks=True)
    def resume(self, trigger: str) -> None:
        """Have a paused trigger start runs again, from now on: what it missed while it was paused is not made up."""
        with self._database.write() as connection:
            connection.execute(
                triggers.update()
                .where(triggers.c.trigger == storable(trigger), triggers.c.paused_at.is_not(None))
                .values(paused_at=None, paused_by=None, handled_until=time.time())
            )

    # --- firing

    @patient(locks=True)
    def acquire(self, trigger: str, owner: Owner, *, ttl: float = LEASE_SECONDS) -> TriggerLease | None:
        """Take the right to fire a trigger; None if another live process has it, or the trigger is unknown."""
        with self._database.write() as connection:
            query = sa.select(triggers, self._database.clock().label("now"))
            row = connection.execute(query.where(triggers.c.trigger == storable(trigger)).with_for_update()).first()
            if row is None or self._is_held(row):
                return None
            taken = {"fence": row.fence + 1, "owner": encode(owner.to_dict()), "lease_until": row.now + ttl}
            connection.execute(triggers.update().where(triggers.c.trigger == row.trigger).values(taken))
        return TriggerLease(_state(row), row.fence + 1)

    def _is_held(self, row: Row[Any]) -> bool:
        url, what = self._database.url, f"of trigger `{row.trigger}`"
        if row.owner is None or not stored_lease_end(url, what, row.lease_until) > row.now:
            return False
        return not stored_owner(url, what, row.owner).is_dead()

    @patient(locks=True)
    def release(self, lease: TriggerLease) -> None:
        """Give the right back. One that was lost is ignored."""
        with self._database.write() as connection:
            connection.execute(_held(lease).values(owner=None, lease_until=None))

    @patient(locks=True)
    def record(self, lease: TriggerLease, handled_until: float, found: Sequence[Firing]) -> bool:
        """Record the firings of a schedule up to an instant, all or none; return false if the right was lost."""
        with self._database.write() as connection:
            held = _held(lease).where(triggers.c.paused_at.is_(None)).values(handled_until=handled_until)
            if connection.execute(held).rowcount == 0:
                return False
            for firing in found:
                _insert(connection, firing)
            connection.execute(firings.delete().where(_is_old(time.time())))
        return True

    @patient(locks=True)
    def claim(self, firing: Firing) -> Firing:
        """Record a firing, unless one with this cause is known; return what is recorded.

        Of several calls at once, all receive the same answer.
        """
        with self._database.write() as connection:
            connection.execute(firings.delete().where(_is_old(firing.created_at)))
            _insert(connection, firing)
            found = connection.execute(
                sa.select(firings).where(
                    firings.c.trigger == storable(firing.trigger), firings.c.cause == storable(firing.cause)
                )
            ).one()
        return self._firing(found)

    @patient(locks=True)
    def settle(self, firing: Firing, state: FiringState, reason: str = "") -> None:
        """Record what became of a firing that was due."""
        with self._database.write() as connection:
            connection.execute(
                firings.update()
                .where(
                    firings.c.trigger == storable(firing.trigger),
                    firings.c.cause == storable(firing.cause),
                    firings.c.state == "due",
                )
                .values(state=state, reason=storable(reason))
            )

    @patient(locks=True)
    def due(self, trigger: str | None = None) -> list[Firing]:
        """Return the firings whose runs have to be started, oldest first: of one trigger, or of all."""
        query = sa.select(firings).where(firings.c.state == "due").order_by(firings.c.key)
        if trigger is not None:
            query = query.where(firings.c.trigger == storable(trigger))
        with self._database.read() as connection:
            return [self._firing(row) for row in connection.execute(query)]

    @patient(locks=True)
    def last(self, trigger: str, limit: int) -> list[Firing]:
        """Return the last firings of a trigger, newest first."""
        query = sa.select(firings).where(firings.c.trigger == storable(trigger))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(firings.c.key.desc()).limit(limit)).all()
        return [self._firing(row) for row in rows]

    def _firing(self, row: Row[Any]) -> Firing:
        what = f"the inputs of a firing of `{row.trigger}`"
        inputs = None if row.inputs is None else stored_object(self._database.url, row.inputs, what)
        return Firing(
            row.trigger,
            row.cause,
            row.instant,
            row.created_at,
            row.by,
            row.run_id,
            row.state,
            row.reason,
            row.fingerprint,
            inputs,
        )


def _held(lease: TriggerLease) -> sa.Update:
    return triggers.update().where(triggers.c.trigger == storable(lease.state.trigger), triggers.c.fence == lease.fence)


def _is_old(now: float) -> sa.ColumnElement[bool]:
    return sa.and_(firings.c.created_at < now - KEPT_SECONDS, firings.c.state != "due")


def _insert(connection: Connection, firing: Firing) -> None:
    row = {
        "trigger": storable(firing.trigger),
        "cause": storable(firing.cause),
        "instant": firing.instant,
        "created_at": firing.created_at,
        "by": storable(firing.by),
        "fingerprint": firing.fingerprint,
        "run_id": firing.run_id,
        "state": firing.state,
        "reason": storable(firing.reason),
        "inputs": None if firing.inputs is None else encode(firing.inputs),
    }
    connection.execute(upsert(connection, firings).values(row).on_conflict_do_nothing())


def _state(row: Row[Any]) -> TriggerState:
    return TriggerState(row.trigger, row.definition, row.handled_until, row.paused_at, row.paused_by)

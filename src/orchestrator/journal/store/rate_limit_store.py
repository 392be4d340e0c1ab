"""The requests of all processes that share a store, in the last minute, by model provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.retry import patient
from orchestrator.journal.store.tables import limits
from orchestrator.models.limits import RateUsage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database

T = TypeVar("T")


class StoredRateUsage:
    """The `SharedRateUsage` of a store: one row for each provider, changed in short transactions.

    `clock` replaces the clock of the database.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._clock = clock

    @patient(locks=True)
    def change(self, provider: str, change: Callable[[RateUsage, float], T]) -> T:
        """Change the entry of a provider exclusively, and return what `change` returns.

        Raises:
            StoreUnavailable: The store cannot be written. Nothing was changed.
        """
        row = limits.c.provider == provider
        with self._database.write() as connection:
            text = connection.execute(sa.select(limits.c.spending).where(row).with_for_update()).scalar()
            if text is None:
                # Another process may do the same at the same time; then this one waits for it here.
                empty = upsert(connection, limits).values(provider=provider, spending="{}").on_conflict_do_nothing()
                connection.execute(empty)
                text = connection.execute(sa.select(limits.c.spending).where(row).with_for_update()).scalar_one()
            spending = RateUsage.from_dict(json.loads(text))
            found = change(spending, self._now(connection))
            after = json.dumps(spending.to_dict(), separators=(",", ":"))
            if after != text:
                connection.execute(limits.update().where(row).values(spending=after))
            return found

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        return float(connection.execute(sa.select(self._database.clock())).scalar_one())

"""The keys that clients give with requests to start runs, so that a repeated request does not start a second run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.retry import patient
from orchestrator.journal.run_creation import StartKey
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.tables import start_keys

if TYPE_CHECKING:
    from orchestrator.journal.store.database import Database


class StartKeys:
    """The keys in a store. They are forgotten some time after their request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @patient(locks=True)
    def claim(self, key: str, fingerprint: str, run_id: str, *, kept: float) -> StartKey:
        """Record a key with the id of the run to start, unless it is known; return what is recorded.

        Of several requests at once, all receive the same answer. Keys older than `kept` seconds are forgotten first.
        """
        now = time.time()
        row = StartKey(storable(key), fingerprint, run_id, now)
        values = {"key": row.key, "fingerprint": fingerprint, "run_id": run_id, "at": now}
        with self._database.write() as connection:
            connection.execute(start_keys.delete().where(start_keys.c.at < now - kept))
            connection.execute(upsert(connection, start_keys).values(values).on_conflict_do_nothing())
            found = connection.execute(sa.select(start_keys).where(start_keys.c.key == row.key)).one()
        return StartKey(found.key, found.fingerprint, found.run_id, found.at)

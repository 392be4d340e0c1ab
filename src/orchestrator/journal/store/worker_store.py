"""The workers of a store, as they report themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.submissions import labels_text, stored_labels
from orchestrator.journal.store.tables import workers
from orchestrator.journal.worker_records import WorkerStatus

if TYPE_CHECKING:
    from orchestrator.journal.store.database import Database

_KEPT_SECONDS: Final = 600.0


class WorkerStore:
    """The workers of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @patient(locks=True)
    def report(self, worker: WorkerStatus) -> None:
        """Record that a worker is there and what it does; workers that are long lost are forgotten."""
        now = self._database.clock()
        values = {
            "id": worker.id,
            "name": storable(worker.name),
            "kind": worker.kind,
            "version": worker.version,
            "labels": labels_text(worker.labels),
            "concurrency": worker.concurrency,
            "started_at": now,
            "seen_at": now,
            "executing": worker.executing,
            "waiting": worker.waiting,
            "draining": worker.draining,
        }
        with self._database.write() as connection:
            entry = upsert(connection, workers).values(values)
            news = {name: entry.excluded[name] for name in ("seen_at", "executing", "waiting", "draining")}
            connection.execute(entry.on_conflict_do_update(index_elements=[workers.c.id], set_=news))
            connection.execute(workers.delete().where(workers.c.seen_at < now - _KEPT_SECONDS))

    @patient(locks=True)
    def leave(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        with self._database.write() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))

    @patient()
    def list(self) -> list[WorkerStatus]:
        """Return the workers, those that began first first; lost ones are among them for some time."""
        query = sa.select(workers, self._database.clock().label("now")).order_by(workers.c.started_at, workers.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            WorkerStatus(
                row.id,
                row.name,
                row.kind,
                row.version,
                stored_labels(row.labels),
                row.concurrency,
                row.started_at,
                row.seen_at,
                row.executing,
                row.waiting,
                row.draining,
                max(0.0, row.now - row.seen_at),
            )
            for row in rows
        ]

"""The workers of a store, as they report themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.submissions import labels_text, stored_labels
from orchestrator.journal.store.tables import workers

if TYPE_CHECKING:
    from orchestrator.journal.store.database import Database

REPORT_SECONDS: Final = 5.0
"""Seconds between two reports of a worker."""

LOST_SECONDS: Final = 15.0
"""A worker that has not reported for so long is lost: it was killed, or cannot reach the store."""

_KEPT_SECONDS: Final = 600.0


class WorkerStatus(Struct, frozen=True):
    """A worker: it executes at most `concurrency` runs at once, of those that demand none but its `labels`.

    `kind` is the same for workers that can execute the same runs. `executing` runs work, and `waiting` ones are held
    for a person, a time or their turn. A worker that is `draining` takes no further runs. Times are in seconds since
    the epoch, by the clock of the store; `age` is how long ago it reported, and a worker with `lost` did not in time.
    """

    id: str
    name: str
    kind: str
    version: str
    labels: tuple[str, ...]
    concurrency: int
    started_at: float = 0.0
    seen_at: float = 0.0
    executing: int = 0
    waiting: int = 0
    draining: bool = False
    age: float = 0.0

    @property
    def lost(self) -> bool:
        """Whether it has not reported in time."""
        return self.age > LOST_SECONDS

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "labels": list(self.labels), "lost": self.lost}


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

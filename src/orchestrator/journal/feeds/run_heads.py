"""How far runs have come and who owns them: what the watch of runs that other processes execute compares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.process_identity import Owner
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.event_columns import seq_of
from orchestrator.journal.store.queries.event_ranges import of_run
from orchestrator.journal.store.tables import events, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.journal.store.database import Database


class RunHead(Struct, frozen=True):
    """The number of the newest event of a run, its fence and its owner; `left` seconds until the lease ends."""

    last_seq: int
    fence: int
    owner: str | None
    left: float

    @property
    def mark(self) -> tuple[Any, ...]:
        """What differs when the run has changed. A renewed lease is no change."""
        return self.last_seq, self.fence, self.owner

    def holder(self) -> Owner | None:
        """Return who holds the lease, whether or not the process is alive."""
        return None if self.owner is None else Owner.from_dict(json.loads(self.owner))


def run_heads(database: Database, keys: Sequence[int]) -> Iterator[tuple[int, RunHead]]:
    """Yield the heads of the runs with these keys; removed ones are left out."""
    # A subquery for each run reads one entry of the index; grouping would read all events of the runs.
    newest = sa.select(sa.func.max(events.c.id)).where(of_run(runs.c.key)).scalar_subquery()
    query = sa.select(
        runs.c.key, newest.label("last"), runs.c.fence, runs.c.owner, runs.c.lease_until, database.clock().label("now")
    )
    for some in chunks(keys):
        with database.read() as connection:
            rows = connection.execute(query.where(runs.c.key.in_(some))).all()
        for row in rows:
            left = 0.0 if row.lease_until is None else row.lease_until - row.now
            yield row.key, RunHead(seq_of(row.last or 0), row.fence, row.owner if left > 0 else None, left)

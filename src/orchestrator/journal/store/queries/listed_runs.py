"""What a list of runs is kept up to date with: the runs that may have changed, and where these stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.journal.state.status import RunStatus
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.queries.statuses import listed_statuses, select_heads
from orchestrator.journal.store.tables import labels, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.journal.store.database import Database

_UNENDED = ("running", "paused")
"""The states, as the store has them, of runs that have not ended."""


class ListedRun(Struct, frozen=True):
    """A run as a list shows it, with what the list can be filtered by. `key` is the store's number for it."""

    key: int
    status: RunStatus
    batch: str | None
    labels: frozenset[str]


def listed_runs(database: Database, keys: Sequence[int]) -> Iterator[ListedRun]:
    """Yield the runs with these keys; those that were removed are left out."""
    for some in chunks(keys):
        with database.read() as connection:
            heads = connection.execute(select_heads(database).where(runs.c.key.in_(some))).all()
            if not heads:
                continue
            found = listed_statuses(database, connection, heads)
            batches = dict(connection.execute(sa.select(runs.c.key, runs.c.batch).where(runs.c.key.in_(some))).all())
            words: dict[int, set[str]] = {}
            for run, label in connection.execute(sa.select(labels.c.run, labels.c.label).where(labels.c.run.in_(some))):
                words.setdefault(run, set()).add(label)
        for head, status in zip(heads, found, strict=True):
            yield ListedRun(head.key, status, batches.get(head.key), frozenset(words.get(head.key, ())))


def moving_keys(database: Database, after: int, limit: int) -> tuple[list[int], list[int]]:
    """Return the newest runs that have not ended, and the runs that were created after the one with this key.

    At most `limit` of both; the latter oldest first.
    """
    unended = sa.select(runs.c.key).where(runs.c.state.in_(_UNENDED)).order_by(runs.c.key.desc()).limit(limit)
    created = sa.select(runs.c.key).where(runs.c.key > after).order_by(runs.c.key).limit(limit)
    with database.read() as connection:
        return list(connection.execute(unended).scalars()), list(connection.execute(created).scalars())


def newest_key(database: Database) -> int:
    """Return the key of the newest run; 0 if there is none."""
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(runs.c.key), 0))).scalar_one())

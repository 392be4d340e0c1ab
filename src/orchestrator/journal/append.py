"""The one hot statement of the store: appending a batch of events, on the driver's own cursor.

Measured per commit on SQLite: 0.04 ms of CPU this way, 1.2 ms through an asyncio engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.journal.blobs import Blob, split
from orchestrator.journal.records import Lease

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection

    from orchestrator.journal.database import Database


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fold's state after the event `seq`: written with it, so that readers begin there."""

    state: str
    seq: int
    text: str


@dataclass(slots=True)
class Row:
    """One event on its way to the store. `data` is JSON, or the JSON of each value when some are large."""

    lease: Lease
    seq: int
    at: float
    type: str
    path: str
    attempt: int
    data: str | Mapping[str, str]
    snapshot: Snapshot | None = None


class Appender:
    """Writes batches of events, each in one transaction. Used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: PoolProxiedConnection | None = None
        self._doubtful = False
        self._sqlite = database.is_sqlite
        mark = "?" if self._sqlite else "%s"
        lock = "" if self._sqlite else " FOR SHARE"  # no owner may change while its events are written
        ignore = "ON CONFLICT DO NOTHING"
        self._fence = f"SELECT fence FROM runs WHERE key={mark}{lock}"  # noqa: S608 - only marks are put in
        self._last = f"SELECT coalesce(max(seq), 0) FROM events WHERE run={mark}"  # noqa: S608
        self._insert = f"INSERT INTO events VALUES ({', '.join([mark] * 7)})"  # noqa: S608
        self._blob = f"INSERT INTO blobs VALUES ({', '.join([mark] * 4)}) {ignore}"  # noqa: S608
        self._use = f"INSERT INTO blob_uses VALUES ({mark}, {mark}) {ignore}"  # noqa: S608
        self._snapshot = f"UPDATE runs SET state={mark}, snapshot_seq={mark}, snapshot={mark} WHERE key={mark}"  # noqa: S608

    def append(self, rows: Sequence[Row]) -> list[Lease]:
        """Commit all rows whose lease still holds; return the leases that do not.

        After an error nothing of the batch is known to be stored; append the same rows again, and those that did
        get there are passed over.

        Raises:
            StoreUnavailable: nothing more can be written now.
        """
        with self._database.errors(), self._database.turn:
            try:
                return self._append(rows)
            except BaseException as error:
                self._abandon()
                if not _is_driver_error(error):
                    raise
                raise self._database.unavailable(error) from error

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _append(self, rows: Sequence[Row]) -> list[Lease]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._database.driver_connection()
        cursor = connection.cursor()
        try:
            if self._sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            leases = {(row.lease.key, row.lease.fence): row.lease for row in rows}
            lost = [lease for lease in leases.values() if self._holds_not(cursor, lease)]
            if lost:
                rows = [row for row in rows if row.lease not in lost]
            if self._doubtful:
                rows = self._without_stored(cursor, rows)
            self._write(cursor, rows)
            if self._sqlite:
                cursor.execute("COMMIT")
            else:
                connection.commit()
        finally:
            cursor.close()
        self._doubtful = False
        return lost

    def _write(self, cursor: Any, rows: Iterable[Row]) -> None:
        values = []
        large: dict[str, Blob] = {}
        uses: set[tuple[int, str]] = set()
        snapshots: dict[int, Snapshot] = {}
        for row in rows:
            data = row.data
            key = row.lease.key
            if not isinstance(data, str):
                data, found = split(data)
                for blob in found:
                    large[blob.hash] = blob
                    uses.add((key, blob.hash))
            values.append((key, row.seq, row.at, row.type, row.path, row.attempt, data))
            if row.snapshot is not None:
                snapshots[key] = row.snapshot
        if values:
            cursor.executemany(self._insert, values)
        if large:  # in one order everywhere, or two processes could wait for each other
            ordered = sorted(large.values(), key=lambda blob: blob.hash)
            cursor.executemany(self._blob, [(b.hash, b.encoding, b.size, b.content) for b in ordered])
            cursor.executemany(self._use, sorted(uses))
        for key, snapshot in snapshots.items():
            cursor.execute(self._snapshot, (snapshot.state, snapshot.seq, snapshot.text, key))

    def _holds_not(self, cursor: Any, lease: Lease) -> bool:
        row = cursor.execute(self._fence, (lease.key,)).fetchone()
        return row is None or row[0] != lease.fence

    def _without_stored(self, cursor: Any, rows: Sequence[Row]) -> list[Row]:
        """Pass over what an earlier attempt, whose outcome is unknown, did store."""
        last = {}
        for key in {row.lease.key for row in rows}:
            last[key] = cursor.execute(self._last, (key,)).fetchone()[0]
        return [row for row in rows if row.seq > last[row.lease.key]]

    def _abandon(self) -> None:
        """Drop the connection after an error: whether its last commit took place is not known."""
        self._doubtful = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()


def _is_driver_error(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("sqlite3", "psycopg")

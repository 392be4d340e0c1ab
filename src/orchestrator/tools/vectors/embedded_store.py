"""Collections in a file below the project: SQLite with the extension sqlite-vec, through APSW.

APSW brings a SQLite that can load extensions, which the one of many Python installations cannot. A query computes the
distance to every vector that meets the conditions, so its result is exact.
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import apsw
import sqlite_vec

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.content import make_private_directory, open_private
from orchestrator.tools.vectors.filters import BoundValues, sqlite_condition
from orchestrator.tools.vectors.records import VectorCollection, VectorMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.tools.vectors.filters import MetadataCondition
    from orchestrator.tools.vectors.records import VectorRecord

_BUSY_MS: Final = 30_000
_IDS_AT_ONCE: Final = 500
_MARK: Final = 0x4F524356
"""The mark of the application in the file (`ORCV`)."""

_VERSION: Final = 1
_DISTANCE: Final = {"cosine": "vec_distance_cosine", "l2": "vec_distance_l2"}

_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS collections (
    name TEXT PRIMARY KEY, dimensions INTEGER NOT NULL, metric TEXT NOT NULL, model TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY,
    collection TEXT NOT NULL REFERENCES collections (name),
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    position INTEGER NOT NULL,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    metadata TEXT NOT NULL,
    embedding BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS records_by_id ON records (collection, id);
CREATE INDEX IF NOT EXISTS records_by_document ON records (collection, document, position);
PRAGMA application_id = {_MARK};
PRAGMA user_version = {_VERSION};
"""


class EmbeddedVectors:
    """The `VectorStore` in a file. A connection is made for each call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None

    def interrupt(self) -> None:
        """Stop the statement that is being carried out."""
        connection = self._connection
        if connection is not None:
            try:
                connection.interrupt()
            except apsw.Error:  # it has been closed meanwhile
                return

    def collections(self) -> list[tuple[VectorCollection, int]]:
        """Return the collections by name, each with the number of its records."""
        query = """
            SELECT name, dimensions, metric, model, (SELECT count(*) FROM records WHERE collection = name)
            FROM collections ORDER BY name
        """
        with self._reading() as connection:
            rows = _rows(connection, query) if connection is not None else []
        return [(VectorCollection(*row[:4]), row[4]) for row in rows]

    def find(self, name: str) -> VectorCollection | None:
        """Return a collection; None if there is none."""
        with self._reading() as connection:
            return None if connection is None else _collection(connection, name)

    def count(self, name: str) -> int:
        """Return the number of records of a collection."""
        with self._reading() as connection:
            if connection is None:
                return 0
            query = "SELECT count(*) FROM records WHERE collection = ?"
            return int(_rows(connection, query, (name,))[0][0])

    def hashes(self, name: str, ids: Sequence[str]) -> dict[str, str]:
        """Return the hashes of those of the records that a collection has."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            if connection is not None:
                for some in _parts(ids):
                    query = f"SELECT id, hash FROM records WHERE collection = ? AND id IN ({_marks(some)})"  # noqa: S608
                    found |= dict(_rows(connection, query, (name, *some)))
        return found

    def write(self, collection: VectorCollection, records: Sequence[VectorRecord], lengths: Mapping[str, int]) -> int:
        """Write records in one transaction, and remove the rests of documents; return how many were removed."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO collections VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (collection.name, collection.dimensions, collection.metric, collection.model),
            )
            found = _collection(connection, collection.name)
            if found is None or (found.dimensions, found.metric) != (collection.dimensions, collection.metric):
                message = f"the collection `{collection.name}` was created with other vectors at the same time"
                raise StepError(message, code=codes.DATABASE_FAILED)
            statement = """
                INSERT INTO records (collection, id, document, position, hash, body, metadata, embedding)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (collection, id) DO UPDATE SET
                    document = excluded.document, position = excluded.position, hash = excluded.hash,
                    body = excluded.body, metadata = excluded.metadata, embedding = excluded.embedding
            """
            for each in records:
                metadata = json.dumps(each.metadata, ensure_ascii=False)
                place = (collection.name, each.id, each.document, each.position)
                connection.execute(statement, (*place, each.hash, each.text, metadata, _packed(each.vector)))
            removed = 0
            for document, length in lengths.items():
                connection.execute(
                    "DELETE FROM records WHERE collection = ? AND document = ? AND position >= ?",
                    (collection.name, document, length),
                )
                removed += connection.changes()
            return removed

    def query(
        self,
        collection: VectorCollection,
        vector: Sequence[float],
        conditions: Sequence[MetadataCondition],
        *,
        limit: int,
        max_distance: float | None,
    ) -> list[VectorMatch]:
        """Return the nearest records whose metadata meet the conditions, the nearest first."""
        bound = BoundValues()
        distance = f"{_DISTANCE[collection.metric]}(embedding, {bound.bind(_packed(vector))})"
        wanted = [
            f"collection = {bound.bind(collection.name)}",
            *(sqlite_condition(each, bound) for each in conditions),
        ]
        nearest = f"SELECT number, {distance} AS distance FROM records WHERE {' AND '.join(wanted)}"  # noqa: S608
        near = "" if max_distance is None else f"WHERE distance <= {bound.bind(max_distance)}"
        query = f"""
            SELECT id, body, metadata, document, found.distance FROM (
                SELECT number, distance FROM ({nearest}) {near} ORDER BY distance, number LIMIT {bound.bind(limit)}
            ) AS found JOIN records USING (number) ORDER BY found.distance, id
        """  # noqa: S608 - all values are bound
        with self._reading() as connection:
            rows = [] if connection is None else _rows(connection, query, bound.values)
        return [
            VectorMatch(id, text, json.loads(metadata), document, far) for id, text, metadata, document, far in rows
        ]

    def delete(
        self,
        name: str,
        *,
        ids: Sequence[str] | None,
        documents: Sequence[str] | None,
        conditions: Sequence[MetadataCondition],
    ) -> int:
        """Remove records, or the whole collection; return how many records there were."""
        everything = ids is None and documents is None and not conditions
        count = 0
        with self._writing() as connection:
            if _collection(connection, name) is None:
                return 0
            columns: list[tuple[str, Sequence[str]]] = [("1", ["1"])]
            if ids is not None:
                columns = [("id", some) for some in _parts(ids)]
            elif documents is not None:
                columns = [("document", some) for some in _parts(documents)]
            for column, some in columns:
                bound = BoundValues()
                wanted = [f"collection = {bound.bind(name)}", *(sqlite_condition(each, bound) for each in conditions)]
                if column != "1":
                    wanted.append(f"{column} IN ({', '.join(map(bound.bind, some))})")
                connection.execute(f"DELETE FROM records WHERE {' AND '.join(wanted)}", bound.values)  # noqa: S608
                count += connection.changes()
            if everything:
                connection.execute("DELETE FROM collections WHERE name = ?", (name,))
        return count

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection | None]:
        """Lend a connection for reading; None if there is no file yet."""
        if not self._path.exists():
            yield None
            return
        with self._errors(), closing(self._connect(apsw.SQLITE_OPEN_READWRITE)) as connection:
            if connection.pragma("application_id") != _MARK:
                raise _failed(f"{self._path} is not a file of vectors", "move it away")
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """Lend a connection in a transaction that is committed at the end. The file is made, for its owner only."""
        with self._errors():
            try:
                make_private_directory(self._path.parent)
                os.close(open_private(str(self._path), os.O_RDWR | os.O_CREAT))
            except OSError as error:
                raise _failed(f"{self._path} cannot be written: {error.strerror}", "check the directory") from error
            with closing(self._connect(apsw.SQLITE_OPEN_READWRITE)) as connection:
                mark = connection.pragma("application_id")
                if mark not in (0, _MARK):
                    raise _failed(f"{self._path} is not a file of vectors", "move it away")
                connection.pragma("journal_mode", "wal")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    if connection.pragma("user_version") > _VERSION:
                        raise _failed(f"a newer version of Orchestrator wrote {self._path}", "update Orchestrator")
                    if connection.pragma("user_version") == 0:
                        connection.execute(_TABLES)
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=flags)
        connection.set_busy_timeout(_BUSY_MS)
        connection.enable_load_extension(True)
        sqlite_vec.load(connection)
        connection.enable_load_extension(False)
        self._connection = connection
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of SQLite into step errors, without the statement and its values."""
        try:
            yield
        except apsw.InterruptError:
            raise _failed("the call was stopped", None) from None
        except (apsw.BusyError, apsw.LockedError):
            message = f"{self._path} is locked by another program"
            raise StepError(message, code=codes.DATABASE_FAILED, help="try again when it has ended") from None
        except (apsw.NotADBError, apsw.CorruptError):
            raise _failed(f"{self._path} is damaged", "remove it, and write the vectors again") from None
        except apsw.FullError:
            raise _failed(f"the disk of {self._path} is full", "free some space") from None
        except apsw.Error as error:
            raise _failed(f"{self._path} cannot be used: {error}", None) from None
        finally:
            self._connection = None


def _collection(connection: apsw.Connection, name: str) -> VectorCollection | None:
    query = "SELECT name, dimensions, metric, model FROM collections WHERE name = ?"
    rows = _rows(connection, query, (name,))
    return VectorCollection(*rows[0]) if rows else None


def _rows(connection: apsw.Connection, sql: str, values: Any = ()) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _packed(vector: Sequence[float]) -> bytes:
    return array("f", vector).tobytes()


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IDS_AT_ONCE):
        yield values[start : start + _IDS_AT_ONCE]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _failed(message: str, help: str | None) -> StepError:
    return StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)

"""Collections in PostgreSQL with the extension pgvector: a database of `[databases]`, in two tables."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.databases.session import DatabaseSession
from orchestrator.tools.vectors.filters import BoundValues, postgresql_condition
from orchestrator.tools.vectors.records import VectorCollection, VectorMatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.tools.databases.settings import DatabaseSetting
    from orchestrator.tools.sandbox.permissions import Permissions
    from orchestrator.tools.vectors.filters import MetadataCondition
    from orchestrator.tools.vectors.records import VectorRecord

_AT_ONCE: Final = 250  # records of a statement
_LOCK: Final = 0x4F524356
_DISTANCE: Final = {"cosine": "<=>", "l2": "<->"}
_HAS_TABLES: Final = "SELECT to_regclass('orchestrator_vectors') IS NOT NULL AS found"
_EXTENSION: Final = """
    SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector') AS created,
        EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'vector') AS available,
        current_setting('server_version_num') AS version
"""
_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS orchestrator_vector_collections (
        name text PRIMARY KEY, dimensions integer NOT NULL, metric text NOT NULL, model text NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS orchestrator_vectors (
        collection text NOT NULL REFERENCES orchestrator_vector_collections (name),
        id text NOT NULL,
        document text NOT NULL,
        position integer NOT NULL,
        hash text NOT NULL,
        body text NOT NULL,
        metadata jsonb NOT NULL,
        embedding vector NOT NULL,
        PRIMARY KEY (collection, id)
    )""",
    """CREATE INDEX IF NOT EXISTS orchestrator_vectors_by_document
        ON orchestrator_vectors (collection, document, position)""",
)


class PostgresqlVectors:
    """The `VectorStore` of a database. Each call makes connections, within `timeout` seconds in total."""

    def __init__(self, database: DatabaseSetting, permissions: Permissions, timeout: float) -> None:
        self._database = database
        self._permissions = permissions
        self._ends = time.monotonic() + timeout
        self._session: DatabaseSession | None = None
        self._stopped = False

    def interrupt(self) -> None:
        """Stop the statement that is being carried out."""
        self._stopped = True
        if self._session is not None:
            self._session.interrupt()

    def collections(self) -> list[tuple[VectorCollection, int]]:
        """Return the collections by name, each with the number of its records."""
        query = """
            SELECT name, dimensions, metric, model,
                (SELECT count(*) FROM orchestrator_vectors WHERE collection = name) AS records
            FROM orchestrator_vector_collections ORDER BY name
        """
        rows = self._rows(query, {}) if self._has_tables() else []
        return [(_collection(row), row["records"]) for row in rows]

    def find(self, name: str) -> VectorCollection | None:
        """Return a collection; None if there is none."""
        query = "SELECT name, dimensions, metric, model FROM orchestrator_vector_collections WHERE name = :name"
        rows = self._rows(query, {"name": name}) if self._has_tables() else []
        return _collection(rows[0]) if rows else None

    def count(self, name: str) -> int:
        """Return the number of records of a collection."""
        query = "SELECT count(*) AS records FROM orchestrator_vectors WHERE collection = :name"
        return int(self._rows(query, {"name": name})[0]["records"]) if self._has_tables() else 0

    def hashes(self, name: str, ids: Sequence[str]) -> dict[str, str]:
        """Return the hashes of those of the records that a collection has."""
        if not ids or not self._has_tables():
            return {}
        query = "SELECT id, hash FROM orchestrator_vectors WHERE collection = :name AND id IN :ids"
        return {row["id"]: row["hash"] for row in self._rows(query, {"name": name, "ids": list(ids)})}

    def write(self, collection: VectorCollection, records: Sequence[VectorRecord], lengths: Mapping[str, int]) -> int:
        """Write records in one transaction, and remove the rests of documents; return how many were removed."""
        if not self._has_tables():
            self._make_tables()
        known = {
            "name": collection.name,
            "dimensions": collection.dimensions,
            "metric": collection.metric,
            "model": collection.model,
        }
        statements = [
            """INSERT INTO orchestrator_vector_collections (name, dimensions, metric, model)
                VALUES (:name, :dimensions, :metric, :model) ON CONFLICT DO NOTHING"""
        ]
        given: dict[str, Any] = dict(known)
        for number, start in enumerate(range(0, len(records), _AT_ONCE)):
            given[f"records{number}"] = json.dumps([_row(each) for each in records[start : start + _AT_ONCE]])
            statements.append(_upsert(f":records{number}"))
        given["lengths"] = json.dumps([{"document": each, "length": length} for each, length in lengths.items()])
        statements.append(
            """DELETE FROM orchestrator_vectors USING jsonb_to_recordset(CAST(:lengths AS jsonb))
                    AS given(document text, length integer)
                WHERE collection = :name AND orchestrator_vectors.document = given.document AND position >= length
                RETURNING id"""
        )
        removed = len(self._opened().execute(statements, given)["rows"])
        found = self.find(collection.name)
        if found is None or (found.dimensions, found.metric) != (collection.dimensions, collection.metric):
            message = f"the collection `{collection.name}` was created with other vectors at the same time"
            raise StepError(message, code=codes.DATABASE_FAILED)
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
        distance = f"embedding {_DISTANCE[collection.metric]} CAST({bound.bind(_written(vector))} AS vector)"
        wanted = [f"collection = {bound.bind(collection.name)}"]
        wanted += [postgresql_condition(each, bound) for each in conditions]
        near = "" if max_distance is None else f"WHERE distance <= {bound.bind(max_distance)}"
        query = f"""
            SELECT id, body, metadata, document, distance FROM (
                SELECT id, body, metadata, document, {distance} AS distance
                FROM orchestrator_vectors WHERE {" AND ".join(wanted)}
            ) AS found {near} ORDER BY distance, id LIMIT {bound.bind(limit)}
        """  # noqa: S608 - all values are bound
        return [
            VectorMatch(row["id"], row["body"], row["metadata"], row["document"], row["distance"])
            for row in self._rows(query, bound.values)
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
        if not self._has_tables():
            return 0
        bound = BoundValues()
        wanted = [f"collection = {bound.bind(name)}", *(postgresql_condition(each, bound) for each in conditions)]
        for column, values in (("id", ids), ("document", documents)):
            if values is not None:
                listed = f"jsonb_array_elements_text(CAST({bound.bind(json.dumps(list(values)))} AS jsonb))"
                wanted.append(f"{column} IN (SELECT {listed})")
        statements = [f"DELETE FROM orchestrator_vectors WHERE {' AND '.join(wanted)}"]  # noqa: S608
        count = int(self._opened().execute(statements, bound.values)["count"])
        if ids is None and documents is None and not conditions:
            self._opened().execute(["DELETE FROM orchestrator_vector_collections WHERE name = :name"], {"name": name})
        return count

    def _opened(self) -> DatabaseSession:
        if self._stopped:
            raise StepError("the call was stopped", code=codes.DATABASE_FAILED, retryable=False)
        left = max(0.1, self._ends - time.monotonic())
        self._session = DatabaseSession(self._database, self._permissions, left)
        return self._session

    def _rows(self, sql: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._opened().query(sql, inputs) as rows:
            return list(rows)

    def _has_tables(self) -> bool:
        return bool(self._rows(_HAS_TABLES, {})[0]["found"])

    def _make_tables(self) -> None:
        extension = self._rows(_EXTENSION, {})[0]
        if not extension["available"]:
            version = int(extension["version"]) // 10_000
            raise StepError(
                f"the server of the database `{self._database.name}` does not have the extension pgvector",
                code=codes.DATABASE_FAILED,
                help=f"install it on the server, for Debian with: apt-get install postgresql-{version}-pgvector; or "
                "leave out `database`, to keep the vectors in a file of the project",
                retryable=False,
            )
        lock = f"SELECT pg_advisory_xact_lock({_LOCK})"
        if not extension["created"]:
            try:
                self._opened().execute([lock, "CREATE EXTENSION IF NOT EXISTS vector"], {})
            except StepError as error:
                error.help = "have an administrator of the database carry out: CREATE EXTENSION vector"
                raise
        self._opened().execute([lock, *_TABLES], {})


def _upsert(records: str) -> str:
    return f"""
        INSERT INTO orchestrator_vectors (collection, id, document, position, hash, body, metadata, embedding)
        SELECT known.name, given.id, given.document, given.position, given.hash, given.body, given.metadata,
            CAST(given.embedding AS vector)
        FROM jsonb_to_recordset(CAST({records} AS jsonb)) AS given(
            id text, document text, position integer, hash text, body text, metadata jsonb, embedding text
        ) JOIN orchestrator_vector_collections AS known
            ON known.name = :name AND known.dimensions = :dimensions AND known.metric = :metric
        ON CONFLICT (collection, id) DO UPDATE SET
            document = excluded.document, position = excluded.position, hash = excluded.hash, body = excluded.body,
            metadata = excluded.metadata, embedding = excluded.embedding
    """  # noqa: S608 - the values are bound


def _row(record: VectorRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "document": record.document,
        "position": record.position,
        "hash": record.hash,
        "body": record.text,
        "metadata": record.metadata,
        "embedding": _written(record.vector),
    }


def _collection(row: Mapping[str, Any]) -> VectorCollection:
    return VectorCollection(row["name"], row["dimensions"], row["metric"], row["model"])


def _written(vector: Sequence[float]) -> str:
    return f"[{','.join(map(repr, vector))}]"

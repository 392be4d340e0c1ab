"""The cache of results that runs share, by the key of what they were computed from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.records import CacheEntry
from orchestrator.journal.store.blob_codec import LIMIT, Blob, encode, storable
from orchestrator.journal.store.blob_store import keep_blobs
from orchestrator.journal.store.stored_data import stored_blob, stored_value
from orchestrator.journal.store.tables import blobs, cache
from orchestrator.text.json_pieces import LARGE, json_pieces, weight

if TYPE_CHECKING:
    from orchestrator.journal.store.database import Database


def get_result(database: Database, key: str, newer_than: float | None) -> CacheEntry | None:
    """Return the cached result of a key, unless it is older than `newer_than` (seconds since the epoch)."""
    # With its content in one statement: an entry may be pruned at any moment.
    query = (
        sa.select(cache, blobs.c.hash, blobs.c.encoding, blobs.c.content)
        .outerjoin(blobs, blobs.c.key == cache.c.blob)
        .where(cache.c.key == key)
    )
    if newer_than is not None:
        query = query.where(cache.c.at >= newer_than)
    with database.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    if row.blob is None:
        output = stored_value(database.url, row.output, f"the cached result {key[:12]}")
    else:
        output = stored_blob(database.url, row.hash, row.encoding, row.content)
    return CacheEntry(key, row.run_id, row.path, row.at, output)


def put_result(database: Database, key: str, run_id: str, path: str, output: Any) -> None:
    """Cache a result; of several with one key, the newest is kept."""
    blob: Blob | None = None
    text = ""
    if weight(output, LARGE) >= LARGE:
        blob = Blob.of_pieces(json_pieces(output))
    elif len(text := encode(output)) > LIMIT:
        blob = Blob.of(text)
    row = {
        "key": key,
        "run_id": storable(run_id),
        "path": storable(path),
        "at": time.time(),
        "blob": None if blob is None else sa.select(blobs.c.key).where(blobs.c.hash == blob.digest).scalar_subquery(),
        "output": None if blob is not None else text,
    }
    with database.write() as connection:
        if blob is not None:
            keep_blobs(connection, [blob])
        statement = upsert(connection, cache).values(row)
        newest = {name: statement.excluded[name] for name in row if name != "key"}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["key"], set_=newest, where=cache.c.at <= statement.excluded.at
            )
        )

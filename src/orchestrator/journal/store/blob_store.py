"""Large values in the store, and replacing references to them in events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.errors import StoreUnavailable
from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.store.blob_codec import blob_references, with_blobs
from orchestrator.journal.store.stored_data import stored_blob
from orchestrator.journal.store.tables import blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.blob_codec import Blob
    from orchestrator.journal.store.database import Database

_AT_ONCE = 100
_HASH = re.compile("[0-9a-f]{64}")


def resolve_blobs(database: Database, value: Any) -> Any:
    """Return `value` with references replaced by blobs: itself, or its values if it is an event's data.

    Resolve a value only once: the result may contain anything, including what looks like a reference.
    """
    if any(True for _ in blob_references(value)):
        return with_blobs(value, _contents(database, sorted(set(blob_references(value)))))
    if isinstance(value, Mapping):
        return resolve_all_blobs(database, [value])[0]
    return value


def resolve_all_blobs(database: Database, many: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the data of several events with references replaced by blobs; each blob is read once."""
    wanted = {digest for data in many for value in data.values() for digest in blob_references(value)}
    if not wanted:
        return list(many)
    found = _contents(database, sorted(wanted))
    return [{key: with_blobs(value, found) for key, value in data.items()} for data in many]


def find_value(database: Database, hash: str) -> Any:
    """Return the large value with a hash; None if there is none."""
    query = sa.select(blobs.c.encoding, blobs.c.content).where(blobs.c.hash == bytes.fromhex(hash))
    with database.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else stored_blob(database.url, bytes.fromhex(hash), row.encoding, row.content)


def keep_blobs(connection: Connection, large: Iterable[Blob]) -> None:
    """Write the blobs that are not stored yet."""
    rows = [
        {
            "hash": blob.digest,
            "encoding": blob.encoding,
            "size": blob.reference.size,
            "content": blob.content,
        }
        for blob in large
    ]
    if rows:
        connection.execute(upsert(connection, blobs).on_conflict_do_nothing(), rows)


def _contents(database: Database, digests: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    query = sa.select(blobs.c.hash, blobs.c.encoding, blobs.c.content)
    with database.read() as connection:
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            hashes = [bytes.fromhex(digest) for digest in some if _HASH.fullmatch(digest)]
            for row in connection.execute(query.where(blobs.c.hash.in_(hashes))):
                found[row.hash.hex()] = stored_blob(database.url, row.hash, row.encoding, row.content)
    missing = [digest for digest in digests if digest not in found]
    if missing:
        raise StoreUnavailable(
            f"the store {database.url} lacks the value {missing[0][:12]} that an event refers to",
            url=database.url,
            help="restore a backup",
        )
    return found

"""The tables of a store: created in an empty database, upgraded from an older version, recognised otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from orchestrator.journal.dialects import problems
from orchestrator.journal.store.tables import PARTIAL_INDEXES, REVISIONS, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection

    from orchestrator.journal.dialects.dialect import Dialect

    Lend = Callable[[], AbstractContextManager[Connection]]


def prepare(dialect: Dialect, read: Lend, write: Lend) -> None:
    """Create the tables in an empty database, or upgrade those of an older version.

    Raises:
        StoreUnavailable: The database holds something else, or another version wrote it.
    """
    foreign = dialect.find_foreign()
    if foreign is not None:
        raise foreign
    with read() as connection:
        revision = _revision(connection)
    if revision is None:
        dialect.initialize()
        with write() as connection:
            _create(dialect, connection)
    elif revision != REVISIONS[-1]:
        if revision not in REVISIONS:
            other = problems.older if revision < REVISIONS[0] else problems.newer
            raise other(dialect.url, revision)
        with write() as connection:
            _upgrade(dialect, connection)


def _revision(connection: Connection) -> str | None:
    """Return the schema's revision, None in a database without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()  # noqa: S608 - our own name
    return str(row[0]) if row else None


def _create(dialect: Dialect, connection: Connection) -> None:
    dialect.lock_schema(connection)
    dialect.create_schema(connection)
    if _revision(connection) is not None:
        return  # another process was first
    present = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
    if present:
        raise problems.foreign(dialect.url, f"the database has other tables named {', '.join(sorted(present))}")
    for index, condition in PARTIAL_INDEXES.items():
        index.dialect_options[dialect.name]["where"] = condition  # to name a dialect before would load it
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} "
        f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(sa.text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"), {"revision": REVISIONS[-1]})  # noqa: S608
    dialect.mark_schema(connection)


def _upgrade(dialect: Dialect, connection: Connection) -> None:
    from orchestrator.journal.store.migrations import upgrade

    dialect.lock_schema(connection)
    if _revision(connection) != REVISIONS[-1]:  # else another process was first
        upgrade(connection)

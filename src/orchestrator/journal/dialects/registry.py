"""The dialects that there are: which one opens a URL, and what statements and columns take from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Text

from orchestrator.journal.dialects.postgresql import PostgresqlDialect
from orchestrator.journal.dialects.sqlite import SqliteDialect
from orchestrator.journal.dialects.store_url import invalid_url, parse_url, shown_url

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.dialects.sqlite import Insert
    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.types import TypeEngine

    from orchestrator.journal.dialects.dialect import Dialect

DIALECTS: Final[tuple[type[Dialect], ...]] = (SqliteDialect, PostgresqlDialect)


def open_dialect(url: str, *, create: bool) -> Dialect:
    """Open the database at a URL; see `Dialect.open`."""
    dialect, parsed = _dialect_of(url)
    return dialect.open(parsed, create=create)


def store_may_exist(url: str) -> bool:
    """Return whether there may be a store at a URL: false for a file that is missing."""
    dialect, parsed = _dialect_of(url)
    return dialect.may_exist(parsed)


def upsert(connection: Connection, table: Table) -> Insert:
    """Return an insert with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return next(dialect for dialect in DIALECTS if dialect.name == connection.dialect.name).insert(table)


def key_type() -> TypeEngine[Any]:
    """Return the type of a column whose numbers count up by themselves."""
    found: TypeEngine[Any] = BigInteger()
    for dialect in DIALECTS:
        if dialect.key_type is not None:
            found = found.with_variant(dialect.key_type, dialect.name)
    return found


def id_type() -> TypeEngine[Any]:
    """Return the type of a column of ids that are found by their beginnings."""
    found: TypeEngine[Any] = Text()
    for dialect in DIALECTS:
        if dialect.id_type is not None:
            found = found.with_variant(dialect.id_type, dialect.name)
    return found


def _dialect_of(url: str) -> tuple[type[Dialect], URL]:
    parsed = parse_url(url)
    for dialect in DIALECTS:
        if parsed.drivername in dialect.urls:
            return dialect, parsed.set(drivername=dialect.driver)
    raise invalid_url(shown_url(parsed), f"`{parsed.drivername}` is not supported")

"""Stores in a schema of a PostgreSQL database, which many hosts can share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.schema import CreateSchema

from orchestrator.errors import MissingExtra
from orchestrator.journal.dialects import problems
from orchestrator.journal.dialects.change_signal import Notifications
from orchestrator.journal.dialects.dialect import Dialect
from orchestrator.journal.dialects.store_url import lock_timeout, shown_url

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert
    from sqlalchemy.engine import URL, Connection, Engine

    from orchestrator.errors import StoreUnavailable

_ADVISORY_LOCK = 0x4F524331
_LOCKED = ("55P03", "40P01", "57014")  # lock_not_available, deadlock_detected, query_canceled
_DISK_FULL = "53100"
_FORBIDDEN = "42501"
_RESTARTING = ("53300", "57P01", "57P02", "57P03")  # too many connections, or the server shuts down or starts


class PostgresqlDialect(Dialect):
    """A PostgreSQL database: `schema` has the tables."""

    name = "postgresql"
    driver = "postgresql+psycopg"
    urls = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
    driver_module = "psycopg"
    mark = "%s"
    lease_end = "extract(epoch FROM clock_timestamp())::float8 + %s"
    sends_changes = True
    row_lock = " FOR SHARE"
    id_type = sa.Text(collation="C")  # prefixes are ranges only in code point order

    def __init__(self, engine: Engine, url: str, schema: str) -> None:
        super().__init__(engine, url)
        self.schema = schema

    @classmethod
    def open(cls, url: URL, *, create: bool) -> Self:
        """Make the pool of connections; `?schema=` names the schema."""
        schema = str(url.query.get("schema", "orchestrator"))
        quoted = schema.replace('"', '""')
        try:
            engine = sa.create_engine(
                url.difference_update_query(["schema", "timeout"]),
                connect_args={
                    "connect_timeout": 10,
                    "options": f"-c lock_timeout={int(lock_timeout(url) * 1000)}",
                },
                pool_size=8,
                max_overflow=56,
                pool_pre_ping=True,
            )
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise MissingExtra("a store on PostgreSQL needs its driver", extra="postgres") from error

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f'SET search_path TO "{quoted}"')
            connection.commit()

        return cls(engine, shown_url(url), schema)

    def lock_schema(self, connection: Connection) -> None:
        """Take an advisory lock."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")

    def lock_name(self, connection: Connection, name: str) -> None:
        """Take an advisory lock, by a hash of the name; two names with one hash wait for each other."""
        digest = hashlib.sha256(f"{self.schema} {name}".encode()).digest()
        number = int.from_bytes(digest[:4], "big", signed=True)
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK}, {number})")

    def create_schema(self, connection: Connection) -> None:
        """Create the schema."""
        connection.execute(CreateSchema(self.schema, if_not_exists=True))

    def clock(self) -> sa.ColumnElement[float]:
        """Return the server's time."""
        return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)

    def lease_parameter(self, ttl: float) -> float:
        """Return the seconds, which are added to the server's time."""
        return ttl

    @staticmethod
    def in_later_items(path: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return the condition with a regular expression."""
        return path.regexp_match(r"\[[0-9][0-9]")

    @staticmethod
    def insert(table: sa.Table) -> Insert:
        """Return PostgreSQL's insert, which has the methods of SQLite's."""
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)  # type: ignore[return-value]

    def keep_blobs(self, cursor: Any) -> None:
        """Lock the table against pruning."""
        cursor.execute("LOCK TABLE blobs IN ROW EXCLUSIVE MODE")

    def claim_blobs(self, connection: Connection) -> None:
        """Lock the table: a writer that finds a blob there does not write it, and refers to it a moment later."""
        connection.exec_driver_sql("LOCK TABLE blobs IN SHARE ROW EXCLUSIVE MODE")

    def change_signal(self) -> Notifications:
        """Listen on the channel of the schema. Names of channels are short, so it is named by a hash."""
        channel = "orchestrator_" + hashlib.sha256(self.schema.encode()).hexdigest()[:16]
        return Notifications(self.engine.raw_connection(), channel)

    def problem(self, error: BaseException) -> StoreUnavailable:
        """Return what an error of PostgreSQL means."""
        state = getattr(error, "sqlstate", None) or ""
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if state == _DISK_FULL:
            return problems.disk_full(self.url)
        if state in _LOCKED:
            return problems.locked(self.url, "end the session that holds its tables and try again")
        if state == _FORBIDDEN:
            message = f"the store {self.url} refuses this user: {words}"
            return problems.unusable(self.url, message, "grant the user the rights")
        return problems.unusable(
            self.url,
            f"the store {self.url} cannot be used: {words}",
            f"check that the server runs and that the address and the password are right; {problems.INTACT}",
            passing=_is_of_connection(error, state),
        )

    def sizes(self, connection: Connection) -> tuple[int, int]:
        """Return the bytes of the schema's tables."""
        tables = sa.text(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relkind = 'r'"
        )
        return int(connection.execute(tables, {"schema": self.schema}).scalar_one()), 0


def _is_of_connection(error: BaseException, state: str) -> bool:
    """Whether the server could not be reached, or broke the connection: it restarts, or has no room for another."""
    return (
        state.startswith("08")
        or state in _RESTARTING
        or (not state and type(error).__name__ in ("OperationalError", "InterfaceError"))
    )

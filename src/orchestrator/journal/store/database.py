"""An opened database of runs: connections to read and to write, with the driver's errors in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orchestrator.journal.dialects.problems import unusable
from orchestrator.journal.dialects.registry import open_dialect
from orchestrator.journal.store.schema import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from orchestrator.journal.dialects.change_signal import ChangeSignal
    from orchestrator.journal.dialects.dialect import Dialect


class Database:
    """An opened database of runs, for all threads of the process."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._closed = False
        event.listen(self.engine, "checkin", self._close_late)

    def _close_late(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """Close a connection that was lent when the database was closed, or later: the pool would keep it open."""
        if self._closed:
            record.invalidate()

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Database:
        """Open the database at a URL, and create or upgrade its tables where needed.

        Raises:
            StoreUnavailable: it cannot be reached or written (ORC811), is locked (ORC812), holds something else
                (ORC813), the disk is full (ORC814), or a newer version wrote it (ORC816).
            ConfigurationError: the URL does not name a database that can be a store (ORC902).
            MissingExtra: the driver of this kind of database is not installed.
        """
        database = cls(open_dialect(url, create=create))
        try:
            with database.errors():
                prepare(database.dialect, database.read, database.write)
            database.dialect.check_in_place()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def url(self) -> str:
        """The address without a password."""
        return self.dialect.url

    @property
    def engine(self) -> Engine:
        """The pool of connections."""
        return self.dialect.engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection for reading. After `close` it is one for this time only: a result may be read later."""
        with self.errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection inside a transaction that is committed at the end."""
        with (
            self.errors(),
            self.dialect.turn,
            self.engine.connect().execution_options(orchestrator_write=True) as connection,
            connection.begin(),
        ):
            self.dialect.check_in_place()
            yield connection

    def driver_connection(self) -> PoolProxiedConnection:
        """Return a connection of the driver itself, for the hot statements."""
        with self.errors():
            return self.engine.raw_connection()

    def change_signal(self) -> ChangeSignal:
        """Return what reports the writes of other processes."""
        with self.errors():
            return self.dialect.change_signal()

    def clock(self) -> sa.ColumnElement[float]:
        """Return the expression for the time now, by one clock for all hosts that share the database."""
        return self.dialect.clock()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into `StoreUnavailable`."""
        try:
            yield
        except DBAPIError as error:
            if error.orig is None:
                raise
            raise self.dialect.problem(error.orig) from error
        except PoolTimeoutError as error:
            message = f"the store {self.url} has no free connection"
            raise unusable(self.url, message, "read it from fewer threads at once", passing=True) from error
        except Exception as error:
            if not self.dialect.raised(error):
                raise
            raise self.dialect.problem(error) from error

    def close(self) -> None:
        """Close all connections. A temporary store is removed."""
        self._closed = True
        self.dialect.close()

"""Opening the database of runs, recognising what is in it, and saying in plain words what is wrong with it."""

from __future__ import annotations

import errno
import math
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateSchema

from orchestrator import codes
from orchestrator.errors import ConfigurationError, MissingExtra, StoreUnavailable
from orchestrator.journal.store.tables import APPLICATION_ID, REVISIONS, VERSION_TABLE, metadata
from orchestrator.text.content import make_private_directory, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.pool import PoolProxiedConnection

BUSY_SECONDS = 5.0
"""How long a statement waits for another program's lock; `?timeout=` in the URL changes it."""

_GO_ON = "what was recorded before is intact"


class Database:
    """An opened database of runs, for all threads of the process.

    `url` is its address without a password. `path` is the file of an SQLite database, `schema` the schema of the
    tables on PostgreSQL.
    """

    def __init__(
        self, engine: Engine, url: str, *, path: Path | None = None, scratch: Path | None = None, schema: str = ""
    ) -> None:
        self.engine = engine
        self.url = url
        self.path = path
        self.schema = schema
        self._scratch = scratch
        self._closed = False
        self._identity: tuple[int, int] | None = None
        self._is_gone = False
        # This process's turn to write. SQLite has one writer at a time, and sleeps before it tries again for its lock:
        # queueing here is faster.
        self.turn: AbstractContextManager[Any] = threading.Lock() if path else nullcontext()

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Database:
        """Open the database that `url` names, and create or upgrade its tables where needed.

        Raises:
            StoreUnavailable: it cannot be reached or written (ORC811), is locked (ORC812), holds something else
                (ORC813), the disk is full (ORC814), or a newer version wrote it (ORC816).
            ConfigurationError: it is no address of a database that can be a store (ORC902).
            MissingExtra: the driver of this kind of database is not installed.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            database = _open_sqlite(parsed, create=create)
        else:
            database = _open_postgresql(parsed)
        try:
            with database.errors():
                _prepare(database)
            database.check_in_place()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.path is not None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection for reading. After `close` it is one for this time only: a result may be read later."""
        try:
            with self.errors(), self.engine.connect() as connection:
                yield connection
        finally:
            if self._closed:
                self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection inside a transaction that is committed at the end."""
        with (
            self.errors(),
            self.turn,
            self.engine.connect().execution_options(orchestrator_write=True) as connection,
            connection.begin(),
        ):
            self.check_in_place()
            yield connection

    def driver_connection(self) -> PoolProxiedConnection:
        """Return a connection of the driver itself, for the one hot statement."""
        with self.errors():
            return self.engine.raw_connection()

    def clock(self) -> sa.ColumnElement[float]:
        """Return the expression for the time now, by one clock for all hosts that share the database."""
        if self.is_sqlite:
            return sa.literal(time.time(), sa.Double)
        return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into `StoreUnavailable`."""
        try:
            yield
        except DBAPIError as error:
            if error.orig is None:
                raise
            raise self.unavailable(error.orig) from error
        except sqlite3.Error as error:
            raise self.unavailable(error) from error
        except PoolTimeoutError as error:
            raise self._problem(
                codes.STORE_UNAVAILABLE,
                f"the store {self.url} has no connection to spare",
                "read it from fewer threads at once",
                passing=True,
            ) from error

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """Say what the driver's error means for a person."""
        if isinstance(error, sqlite3.Error):
            return self._sqlite_problem(error)
        return self._postgresql_problem(error)

    def close(self) -> None:
        """Close all connections. A store in memory is gone."""
        self._closed = True
        self.engine.dispose()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _sqlite_problem(self, error: sqlite3.Error) -> StoreUnavailable:
        known = self._identity
        if self._is_gone or (self.path is not None and known is not None and _identity(self.path) != known):
            return self.gone()  # a reader may have met what is there now, such as an empty file
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its variety
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return self._problem(
                    codes.STORE_LOCKED,
                    f"the store {self.url} is locked by another program",
                    f"close the program that holds it (a database browser, a backup) and try again; {_GO_ON}",
                    passing=True,
                )
            case sqlite3.SQLITE_FULL:
                return self._full()
            case sqlite3.SQLITE_IOERR if self._no_space():
                return self._full()
            case sqlite3.SQLITE_NOTADB:
                return _foreign(self.url, f"{self.path} is not a database")
            case sqlite3.SQLITE_CORRUPT:
                return self._problem(
                    codes.STORE_UNAVAILABLE,
                    f"the store {self.url} is damaged",
                    f"put a backup in its place, or save what can be read with: sqlite3 {self.path} .recover",
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
                return _unwritable(self.url, self.path)
        return self._problem(
            codes.STORE_UNAVAILABLE,
            f"the store {self.url} cannot be used: {error}",
            f"check the disk that it is on; {_GO_ON}",
        )

    def _postgresql_problem(self, error: BaseException) -> StoreUnavailable:
        state = getattr(error, "sqlstate", None) or ""
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if state == "53100":
            return self._full()
        if state in ("55P03", "40P01", "57014"):
            return self._problem(
                codes.STORE_LOCKED,
                f"the store {self.url} is locked by another program",
                f"end the session that holds its tables and try again; {_GO_ON}",
                passing=True,
            )
        if state == "42501":
            return self._problem(
                codes.STORE_UNAVAILABLE, f"the store {self.url} refuses this user: {words}", "grant the user the rights"
            )
        return self._problem(
            codes.STORE_UNAVAILABLE,
            f"the store {self.url} cannot be used: {words}",
            f"check that the server runs and that the address and the password are right; {_GO_ON}",
            passing=_is_of_connection(error, state),
        )

    def _full(self) -> StoreUnavailable:
        return self._problem(
            codes.DISK_FULL,
            f"the disk of the store {self.url} is full",
            f"free some space, then resume the run; {_GO_ON}",
        )

    def _no_space(self) -> bool:
        try:
            return self.path is not None and shutil.disk_usage(self.path.parent).free < 1 << 20
        except OSError:
            return False

    def _problem(self, code: str, message: str, help: str, *, passing: bool = False) -> StoreUnavailable:
        problem = StoreUnavailable(message, url=self.url, code=code, help=help)
        problem.passing = passing
        return problem

    def check_in_place(self) -> None:
        """Refuse to write to a file that was removed or replaced: SQLite goes on writing to what nobody can open.

        Raises:
            StoreUnavailable: ORC811, it was.
        """
        if self.path is None:
            return
        found = _identity(self.path)
        if self._identity is None:
            self._identity = found
        elif found != self._identity or self._is_gone:
            raise self.gone()

    def log_identity(self) -> tuple[int, int] | None:
        """Return which file is the write-ahead log now; None where there is none."""
        return None if self.path is None else _identity(self.path.with_name(self.path.name + "-wal"))

    def gone(self) -> StoreUnavailable:
        """Say that the store is no longer where it was, and write nothing more: it would follow a gap."""
        self._is_gone = True
        problem = self._problem(
            codes.STORE_UNAVAILABLE,
            f"the store {self.url} was removed or replaced while it was in use",
            "what was recorded is gone with it; run the pipeline again, with a store that stays where it is",
        )
        problem.removed = True
        return problem


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_of_connection(error: BaseException, state: str) -> bool:
    """Whether PostgreSQL could not be reached, or broke the connection: it restarts, or has no room for another."""
    return (
        state.startswith("08")
        or state in ("53300", "57P01", "57P02", "57P03")
        or (not state and type(error).__name__ in ("OperationalError", "InterfaceError"))
    )


def _parse(url: str) -> URL:
    if not _is_unicode(url):
        _refuse(_without_password(url).encode("utf-8", "replace").decode(), "its path is not valid Unicode")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        _refuse(_without_password(url), "it is no address of a database")
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        _refuse(_shown(parsed), f"`{parsed.drivername}` is not supported")
    return parsed


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def exists(url: str) -> bool:
    """Whether there may be something to look at: false for a file that is not there."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return True
    return os.path.lexists(Path(str(parsed.database)).expanduser())


def _refuse(url: str, reason: str) -> NoReturn:
    raise ConfigurationError(
        f"the store {url} cannot be opened: {reason}",
        help="write sqlite:///path/runs.db for a file, or postgresql://user@host/database for a server",
    )


def _without_password(url: str) -> str:
    """Hide what could be a password in a text that is no URL."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else url


def _shown(url: URL) -> str:
    query = {key: value for key, value in url.query.items() if key != "password"}
    kind = url.get_backend_name() if "+" in url.drivername else url.drivername
    return url.set(drivername=kind, query=query).render_as_string(hide_password=True)


def _unwritable(url: str, path: Path | None) -> StoreUnavailable:
    return StoreUnavailable(
        f"the store {url} cannot be opened for writing",
        url=url,
        help=f"allow this user to write {path} and its directory, or choose another store",
    )


def _foreign(url: str, what: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{what}, so it is no store of runs",
        url=url,
        code=codes.FOREIGN_DATABASE,
        help="choose another store; nothing was changed in this one",
    )


def _open_sqlite(url: URL, *, create: bool) -> Database:
    scratch: Path | None = None
    if url.database in (None, "", ":memory:"):
        # Threads share a file, not a memory; nobody expects this one to survive the process.
        scratch = Path(tempfile.mkdtemp(prefix="orchestrator-"))
        path = scratch / "runs.db"
        shown = "sqlite://"
    else:
        path = Path(str(url.database)).expanduser().absolute()
        shown = _shown(url)
        _check_path(path, shown, create=create)
    seconds = _timeout(url)
    engine = sa.create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": seconds, "isolation_level": None},
        pool_size=8,
        max_overflow=-1,
    )
    synchronous = "OFF" if scratch else "FULL"

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("orchestrator_write"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(engine, shown, path=path, scratch=scratch)


def _timeout(url: URL) -> float:
    timeout = str(url.query.get("timeout", BUSY_SECONDS))
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        _refuse(_shown(url), f"its timeout `{timeout}` is not a number of seconds")
    return seconds


def _check_path(path: Path, shown: str, *, create: bool) -> None:
    """Make the directory, and refuse what cannot become a store before SQLite sees it."""
    if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises where a directory above is closed to us
        raise StoreUnavailable(
            f"the store {shown} is a directory",
            url=shown,
            help=f"name a file, such as sqlite:///{path}/runs.db",
        )
    if not os.path.exists(path) and not create:  # noqa: PTH110 - as above
        raise StoreUnavailable(
            f"there is no store at {path}", url=shown, help="start a run to make it, or name another store"
        )
    try:
        make_private_directory(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreUnavailable(
                f"the disk of the store {shown} is full", url=shown, code=codes.DISK_FULL, help="free some space"
            ) from error
        raise StoreUnavailable(
            f"the directory {path.parent} of the store cannot be made: {error.strerror}",
            url=shown,
            help="choose another place for the store",
        ) from error
    with suppress(OSError):  # SQLite says better what is wrong; the files that it adds get the mode of this one
        os.close(open_private(str(path), os.O_RDWR | os.O_CREAT))


def _open_postgresql(url: URL) -> Database:
    schema = str(url.query.get("schema", "orchestrator"))
    seconds = _timeout(url)
    quoted = schema.replace('"', '""')
    address = url.difference_update_query(["schema", "timeout"])
    try:
        engine = sa.create_engine(
            address,
            connect_args={
                "connect_timeout": 10,
                "options": f"-c lock_timeout={int(seconds * 1000)}",
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

    return Database(engine, _shown(url), schema=schema)


def _prepare(database: Database) -> None:
    """Recognise the store, create its tables in an empty database, or upgrade those of an older version."""
    if database.path is not None:
        with database.engine.connect() as connection:
            foreign = _foreign_sqlite(connection, database)
        if foreign is not None:
            raise foreign
    with database.read() as connection:
        revision = _revision(connection)
    if revision is None:
        _create(database)
    elif revision != REVISIONS[-1]:
        _upgrade(database, revision)


def _foreign_sqlite(connection: Connection, database: Database) -> StoreUnavailable | None:
    # In this order: another process may be making a store of it, and marks it in the transaction that makes the tables.
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if mark == APPLICATION_ID or (mark == 0 and tables == 0):
        return None
    return _foreign(database.url, f"{database.path} is a database of another application")


def _revision(connection: Connection) -> str | None:
    """Return the schema's revision, None in a database without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()  # noqa: S608 - our own name
    return str(row[0]) if row else None


def _create(database: Database) -> None:
    if database.path is not None:
        _use_write_ahead_log(database)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})")
            connection.execute(CreateSchema(database.schema, if_not_exists=True))
        if _revision(connection) is not None:
            return  # another process was first
        present = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
        if present:
            raise _foreign(database.url, f"the database has other tables named {', '.join(sorted(present))}")
        metadata.create_all(connection, checkfirst=False)
        connection.exec_driver_sql(
            f"CREATE TABLE {VERSION_TABLE} "
            f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
        connection.execute(sa.text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"), {"revision": REVISIONS[-1]})  # noqa: S608
        if database.is_sqlite:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _use_write_ahead_log(database: Database) -> None:
    """Switch an empty SQLite file to WAL. SQLite does not wait for a lock here, so two creators take turns."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with database.engine.connect() as connection:
                # First, as it counts only in an empty file: pages that pruning frees can be given back.
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except DBAPIError as error:
            busy = isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _upgrade(database: Database, revision: str) -> None:
    if revision not in REVISIONS:
        raise StoreUnavailable(
            f"the store {database.url} was written by a newer Orchestrator (schema {revision})",
            url=database.url,
            code=codes.NEWER_STORE,
            help="upgrade Orchestrator here, or choose another store",
        )
    from orchestrator.journal.store.migrations import upgrade

    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})")
        if _revision(connection) != REVISIONS[-1]:  # else another process was first
            upgrade(connection)

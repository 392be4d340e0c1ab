"""Stores in an SQLite file, or in a temporary one for the life of a process."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing, suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from orchestrator import codes
from orchestrator.errors import StoreUnavailable
from orchestrator.journal.dialects import problems
from orchestrator.journal.dialects.change_signal import DataVersion
from orchestrator.journal.dialects.dialect import Dialect
from orchestrator.journal.dialects.store_url import BUSY_SECONDS, lock_timeout, shown_url
from orchestrator.journal.turns import Portion
from orchestrator.text.content import make_private_directory, open_private

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.dialects.sqlite import Insert
    from sqlalchemy.pool import PoolProxiedConnection

    from orchestrator.journal.turns import Turns

APPLICATION_ID = 0x4F524331
"""SQLite's mark of the application that a file belongs to (`ORC1`)."""

_PAGES_AT_ONCE = 500

_ROWS_AT_ONCE = (64, 16, 4, 1)
"""The rows of one statement: few sizes, as each is another statement, which is prepared once."""


class SqliteDialect(Dialect):
    """An SQLite database: `path` is its file."""

    name = "sqlite"
    driver = "sqlite+pysqlite"
    urls = frozenset({"sqlite", "sqlite+pysqlite"})
    driver_module = "sqlite3"
    mark = "?"
    lease_end = "?"
    one_writer = True
    key_type = sa.Integer()  # only INTEGER counts up by itself

    def __init__(self, engine: Engine, url: str, path: Path, scratch: Path | None = None) -> None:
        super().__init__(engine, url)
        self.path = path
        self._scratch = scratch
        self._identity: tuple[int, int] | None = None
        self._is_gone = False
        # SQLite has one writer at a time, and sleeps before it tries again for its lock: queueing here is faster.
        self.turn = threading.Lock()

    @classmethod
    def open(cls, url: URL, *, create: bool) -> Self:
        """Open a file; without one in the URL, a temporary file that threads can share."""
        scratch: Path | None = None
        if _in_memory(url):
            scratch = Path(tempfile.mkdtemp(prefix="orchestrator-"))
            path = scratch / "runs.db"
            shown = "sqlite://"
        else:
            path = Path(str(url.database)).expanduser().absolute()
            shown = shown_url(url)
            _check_path(path, shown, create=create)
        # Where a file was moved away, SQLite would make an empty one, and on closing that would remove the
        # write-ahead log of the one that was put back.
        place = f"{path.as_uri()}?mode={'rw' if scratch is None else 'rwc'}"
        engine = sa.create_engine(
            URL.create(cls.driver, database=str(path)),
            creator=partial(
                sqlite3.connect,
                place,
                uri=True,
                timeout=lock_timeout(url),
                isolation_level=None,
                check_same_thread=False,
            ),
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

        return cls(engine, shown, path, scratch)

    @classmethod
    def may_exist(cls, url: URL) -> bool:
        """Return false for a file that is missing."""
        return _in_memory(url) or os.path.lexists(Path(str(url.database)).expanduser())

    def close(self) -> None:
        """Close all connections; a temporary file is removed."""
        super().close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def find_foreign(self) -> StoreUnavailable | None:
        """Return the error of a file with another application's mark, or with tables and no mark."""
        with self.engine.connect() as connection:
            # In this order: another process may be creating a store in it, and marks it in the transaction that
            # creates the tables.
            tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if mark == APPLICATION_ID or (mark == 0 and tables == 0):
            return None
        return problems.foreign(self.url, f"{self.path} is a database of another application")

    def initialize(self) -> None:
        """Switch an empty file to WAL. SQLite does not wait for a lock here, so two creators take turns."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self.engine.connect() as connection:
                    # First, as it counts only in an empty file: pages that pruning frees can be given back.
                    connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                return
            except DBAPIError as error:
                if not _is_busy(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def lock_schema(self, connection: Connection) -> None:
        """Do nothing: the transaction is the only one that writes."""

    def mark_schema(self, connection: Connection) -> None:
        """Write the application's mark."""
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def clock(self) -> sa.ColumnElement[float]:
        """Return this host's time: a file is shared on one host."""
        return sa.literal(time.time(), sa.Double)

    def lease_parameter(self, ttl: float) -> float:
        """Return the end by this host's time."""
        return time.time() + ttl

    @staticmethod
    def in_later_items(path: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return the condition with a pattern, which takes 0.2 µs for a row."""
        return path.op("GLOB", is_comparison=True)(sa.literal("*[[][0-9][0-9]*"))

    @staticmethod
    def insert(table: sa.Table) -> Insert:
        """Return SQLite's insert."""
        return sqlite.insert(table)

    def insert_rows(self, cursor: Any, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert many rows with each statement.

        `executemany` would release the interpreter and wait for it again at every row, while runs keep it busy.
        """
        start = 0
        for size in _ROWS_AT_ONCE:
            while start + size <= len(rows):
                some = rows[start : start + size]
                cursor.execute(_insert_statement(table, len(rows[0]), size), list(chain.from_iterable(some)))
                start += size

    def begin(self, cursor: Any) -> None:
        """Take the lock for writing at once."""
        cursor.execute("BEGIN IMMEDIATE")

    def commit(self, connection: PoolProxiedConnection, cursor: Any) -> None:
        """Commit, if the file is still there."""
        self.check_in_place()
        cursor.execute("COMMIT")

    def change_signal(self) -> DataVersion:
        """Return the count of other connections' commits."""
        return DataVersion(self.engine.raw_connection())

    def problem(self, error: BaseException) -> StoreUnavailable:
        """Return what an error of SQLite means."""
        known = self._identity
        if self._is_gone or (known is not None and _identity(self.path) != known):
            return self.gone()  # a reader may have met what is there now, such as an empty file
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its variety
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return problems.locked(
                    self.url, "close the program that holds it (a database browser, a backup) and try again"
                )
            case sqlite3.SQLITE_FULL:
                return problems.disk_full(self.url)
            case sqlite3.SQLITE_IOERR if self._no_space():
                return problems.disk_full(self.url)
            case sqlite3.SQLITE_NOTADB:
                return problems.foreign(self.url, f"{self.path} is not a database")
            case sqlite3.SQLITE_CORRUPT:
                help = f"restore a backup, or save what can be read with: sqlite3 {self.path} .recover"
                return problems.unusable(self.url, f"the store {self.url} is damaged", help)
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
                return problems.unwritable_store(self.url, self.path)
        message = f"the store {self.url} cannot be used: {error}"
        return problems.unusable(self.url, message, f"check the disk that it is on; {problems.INTACT}")

    def check_in_place(self) -> None:
        """Raise if the file was removed or replaced: SQLite would keep writing to a file that cannot be opened."""
        found = _identity(self.path)
        if self._identity is None:
            self._identity = found
        elif found != self._identity or self._is_gone:
            raise self.gone()

    def log_identity(self) -> tuple[int, int] | None:
        """Return which file is the write-ahead log now; None if there is none."""
        return _identity(self.path.with_name(self.path.name + "-wal"))

    def gone(self) -> StoreUnavailable:
        """Return the error of a removed file, and write nothing more: it would follow a gap."""
        self._is_gone = True
        return super().gone()

    def shrink(self, turns: Turns) -> None:
        """Give free pages back to the file system, a few at a time."""
        with closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()

            def free() -> int:
                return int(cursor.execute("PRAGMA freelist_count").fetchone()[0])

            before, pages = free(), Portion(least=25, most=_PAGES_AT_ONCE)
            while before:
                turns.wait()
                with self.turn:
                    began = time.monotonic()
                    # As a script: the statement has a step for each page, and `execute` would take only the first.
                    cursor.executescript(f"PRAGMA incremental_vacuum({pages.size})")
                turns.took(time.monotonic() - began, pages)
                after = free()
                if after >= before:
                    break
                before = after
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def sizes(self, connection: Connection) -> tuple[int, int]:
        """Return the bytes of the file's pages."""

        def pragma(name: str) -> int:
            return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())

        page = pragma("page_size")
        return page * pragma("page_count"), page * pragma("freelist_count")

    def _no_space(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < 1 << 20
        except OSError:
            return False


@cache
def _insert_statement(table: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * rows)}"  # noqa: S608 - the names are ours


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_path(path: Path, shown: str, *, create: bool) -> None:
    """Create the directory, and refuse what cannot become a store before SQLite sees it."""
    if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises where a directory above is closed to us
        help = f"name a file, such as sqlite:///{path}/runs.db"
        raise StoreUnavailable(f"the store {shown} is a directory", url=shown, help=help)
    if not os.path.exists(path) and not create:  # noqa: PTH110 - as above
        help = "start a run to create it, or name another store"
        raise StoreUnavailable(f"store {path} does not exist", url=shown, help=help)
    try:
        make_private_directory(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = f"the disk of the store {shown} is full"
            raise StoreUnavailable(message, url=shown, code=codes.DISK_FULL, help="free some space") from error
        raise StoreUnavailable(
            f"the directory {path.parent} of the store cannot be created: {error.strerror}",
            url=shown,
            help="choose another place for the store",
        ) from error
    with suppress(OSError):  # SQLite reports better what is wrong; the files that it adds get the mode of this one
        os.close(open_private(str(path), os.O_RDWR | os.O_CREAT))

"""One connection to a database for one call: what is read cannot write, and what is written is one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import (
    Column,
    Double,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.text.words import quoted_list
from orchestrator.tools.databases.row_values import json_row
from orchestrator.tools.databases.sql_text import code_of, first_word, for_binding, is_one_statement, names_read
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine, TextClause
    from sqlalchemy.engine import URL

    from orchestrator.tools.databases.settings import DatabaseSetting
    from orchestrator.tools.sandbox.permissions import Permissions

_DONE: Final = Table(
    "orchestrator_writes",
    MetaData(),
    Column("key", String(500), primary_key=True),
    Column("at", Double),
    Column("result", Text),
)
"""The table that remembers which writes with `once` were carried out, and with which result."""

AT_ONCE: Final = 1_000
"""How many rows are fetched at a time."""

_ENFORCED: Final = ("sqlite", "postgresql")
QUERIES: Final = ("select", "with", "values", "table", "explain", "show", "pragma")
"""What a query begins with."""

_STREAMED: Final = ("select", "with", "values", "table")
_CONTROL: Final = ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare")
_BUSY: Final = 30.0
_STEPS: Final = 10_000  # of SQLite's machine, between two looks at the time
_DENIED: Final = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH))
_OF_TRANSACTIONS: Final = frozenset((sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT))
_PRAGMAS: Final = frozenset(
    ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list")
)
"""What can be asked of a schema: others change the connection, or the whole process."""

_LIMITS: Final = {sqlite3.SQLITE_LIMIT_LENGTH: 50_000_000, sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000}
"""So that no single function takes so long that a timeout comes late."""

_TRY_AGAIN: Final = ("08", "40", "53", "55", "57")
"""The classes of PostgreSQL's errors that another attempt may not have."""


class RowStream:
    """The rows of a query: fetched in batches, as JSON data."""

    def __init__(self, result: CursorResult[Any]) -> None:
        self.columns = tuple(result.keys())
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise _wrong(f"the query returns several columns {quoted_list(twice)}", "name each of them with `AS`")
        self._result = result

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while batch := self._result.fetchmany(AT_ONCE):
            yield from (json_row(self.columns, row) for row in batch)


class DatabaseSession:
    """A connection to one database, made and used by one thread; any thread can interrupt it."""

    def __init__(self, database: DatabaseSetting, permissions: Permissions, timeout: float) -> None:
        """`timeout` in seconds, for the whole call."""
        self._database = database
        self._permissions = permissions
        self._timeout = timeout
        self._ends = time.monotonic() + timeout
        self._driver: Any = None
        self._stopped = threading.Event()
        self._guarded = False  # while statements are carried out

    def interrupt(self) -> None:
        """Stop the statement that is being carried out."""
        self._stopped.set()
        driver = self._driver
        if driver is not None:  # to cancel, PostgreSQL is connected to, which may take its time
            threading.Thread(target=_stop, args=(driver,), daemon=True).start()

    @contextmanager
    def query(self, sql: str, inputs: Mapping[str, Any]) -> Iterator[RowStream]:
        """Yield the rows of a query, in a transaction that can only read.

        Raises:
            StepError: The query or a value is wrong, or the database cannot be read.
        """
        word = first_word(sql)
        if word not in QUERIES:
            raise _wrong(
                f"`{word}` is not a query" if word else "the query is empty", "use the action `execute` for what writes"
            )
        statement = _bound(sql, inputs)
        with self._errors(), self._connected(writes=False) as connection:
            streamed = word in _STREAMED
            result = connection.execution_options(stream_results=streamed).execute(statement, dict(inputs))
            with closing(result):
                if not result.returns_rows:
                    raise _wrong("the statement returns no rows", "use the action `execute` for what writes")
                yield RowStream(result)

    def execute(
        self, statements: Sequence[str], inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, once: str = ""
    ) -> dict[str, Any]:
        """Carry out statements in one transaction, and return the number of changed rows and those returned last.

        With `inputs` for many rows, the one statement is carried out for each. With the key `once`, they are carried
        out only the first time; then the result of that is returned.

        Raises:
            StepError: A statement or a value is wrong, or the database cannot be written; then nothing was.
        """
        rows = [inputs] if isinstance(inputs, Mapping) else list(inputs)
        bound = [_bound(sql, rows[0], shared=len(statements) > 1) for sql in statements] if rows else []
        if len(rows) > 1 and any(isinstance(value, list | tuple) for row in rows for value in row.values()):
            raise _wrong("a list stands for the values of `IN` only where one row is given", "give a text or a number")
        if once:
            with self._errors():
                self._make_table_of_writes()
        with self._errors(), self._connected(writes=True) as connection:
            if once and (earlier := _earlier(connection, once)) is not None:
                return earlier
            count = 0
            returned: list[dict[str, Any]] = []
            for sql, statement in zip(statements, bound, strict=False):
                names = names_read(sql)
                given = [{name: row[name] for name in names} for row in rows if names <= row.keys()]
                if len(given) < len(rows):
                    raise _missing(names, next(row for row in rows if not names <= row.keys()))
                many = len(given) > 1 and "returning" not in code_of(sql).lower()
                returned = []
                for values in [given] if many else given:
                    result = connection.execute(statement, values)
                    found = list(RowStream(result)) if result.returns_rows else []
                    count += len(found) if result.returns_rows else max(0, result.rowcount)
                    returned += found
            done = {"count": count, "rows": returned}
            if once:
                _remember(connection, once, done)
            return done

    def _make_table_of_writes(self) -> None:
        """Make the table that remembers writes, unless it is there. Others may do so at the same time."""
        with self._connected(writes=True) as connection:
            if inspect(connection).has_table(_DONE.name):
                return
        try:
            with self._connected(writes=True) as connection:
                _DONE.create(connection)
        except DBAPIError:
            with self._connected(writes=True) as connection:
                if not inspect(connection).has_table(_DONE.name):
                    raise

    @contextmanager
    def _connected(self, *, writes: bool) -> Iterator[Connection]:
        if writes and self._database.read_only:
            raise _wrong(f"the database `{self._database.name}` is read-only", "set `read_only = false` in its table")
        url = self._database.address()
        name = url.get_backend_name()
        if self._database.read_only and name not in _ENFORCED:
            raise _wrong(
                f"the database `{self._database.name}` is read-only, which is not enforced for `{name}`",
                "set `read_only = false`, and let its user only read",
            )
        engine = self._engine(url, writes=writes)
        try:
            with engine.connect() as connection:
                self._driver = connection.connection.driver_connection
                if self._stopped.is_set():
                    raise _interrupted()
                if name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
                elif name == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=not writes)
                    connection.execute(text(f"SET LOCAL statement_timeout = {self._left_ms()}"))
                self._guarded = True
                try:
                    yield connection
                finally:
                    self._guarded = False
                if writes:
                    connection.commit()
        finally:
            self._driver = None
            engine.dispose()

    def _engine(self, url: URL, *, writes: bool) -> Engine:
        try:
            match url.get_backend_name():
                case "sqlite":
                    path = self._sqlite_path(url)
                    return create_engine(
                        "sqlite://", creator=lambda: self._sqlite(path, writes=writes), poolclass=NullPool
                    )
                case "postgresql":
                    # A prepared statement is one statement, so that none can end the transaction and begin another.
                    given = {"prepare_threshold": 0, "connect_timeout": max(1, int(self._timeout))}
                    return create_engine(url, connect_args=given, poolclass=NullPool)
                case _:
                    return create_engine(url, poolclass=NullPool)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            module = getattr(error, "name", None) or url.drivername
            raise StepError(
                f"no driver for `{url.drivername}` is installed",
                code=codes.DATABASE_FAILED,
                help=f"install it ({module}); for PostgreSQL with: pip install 'pyorchestrator[postgres]'",
                retryable=False,
            ) from error

    def _sqlite_path(self, url: URL) -> str:
        if not url.database or url.database == ":memory:":
            raise _wrong(f"the address of `{self._database.name}` names no file", "write `sqlite:///data.db`")
        path = self._permissions.directory / url.database
        given = self._permissions.extended(paths=[path])
        access = (given.check_read(str(path)), None if self._database.read_only else given.check_write(str(path)))
        for refusal in access:
            if isinstance(refusal, Refusal):
                raise refusal.error()
        return str(path)

    def _sqlite(self, path: str, *, writes: bool) -> sqlite3.Connection:
        if not writes and not Path(path).exists():
            raise _wrong(f"the file of the database `{self._database.name}` does not exist", "check its `url`")
        if writes and not Path(path).exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        mode = "rw" if writes else "ro"
        uri = f"file:{quote(path)}?mode={mode}"
        busy = min(_BUSY, self._timeout)
        connection = sqlite3.connect(uri, uri=True, timeout=busy, check_same_thread=False, isolation_level=None)
        connection.set_progress_handler(lambda: time.monotonic() > self._ends or self._stopped.is_set(), _STEPS)
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.execute(f"PRAGMA query_only = {int(not writes)}")
        connection.set_authorizer(self._authorized)
        return connection

    def _authorized(self, action: int, name: str | None, *_: str | None) -> int:
        """Whether SQLite may carry out a part of a statement."""
        denied = action in _DENIED or (
            self._guarded and (action in _OF_TRANSACTIONS or (action == sqlite3.SQLITE_PRAGMA and name not in _PRAGMAS))
        )
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    def _left_ms(self) -> int:
        return max(1, int((self._ends - time.monotonic()) * 1_000))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of drivers into step errors. They are shown without the statement and its values."""
        try:
            yield
        except DBAPIError as error:
            driver = error.orig
            if self._stopped.is_set():
                raise _interrupted() from None
            if time.monotonic() > self._ends:
                message = f"the database `{self._database.name}` took longer than {self._timeout:g} s"
                raise StepTimeout(message, seconds=self._timeout, help="raise `timeout`") from None
            state = str(getattr(driver, "sqlstate", None) or "")
            told = " ".join(str(driver).split()) or type(driver).__name__
            raise StepError(
                f"the database `{self._database.name}` reported: {told}",
                code=codes.DATABASE_FAILED,
                retryable=_may_succeed_later(error, state, told),
            ) from None
        except (SQLAlchemyError, OverflowError, UnicodeError) as error:  # their texts may contain values
            reason = type(getattr(error, "orig", None) or error).__name__
            message = f"the database `{self._database.name}` cannot take the statement or one of its values: {reason}"
            raise _wrong(message, "check the values in `inputs`") from None


def _stop(driver: Any) -> None:
    with suppress(Exception):  # it has ended meanwhile
        driver.interrupt() if isinstance(driver, sqlite3.Connection) else driver.cancel()


def _may_succeed_later(error: DBAPIError, state: str, told: str) -> bool:
    """Whether another attempt may succeed: the server cannot be reached, is busy, or chose this as a victim."""
    if state:
        return state[:2] in _TRY_AGAIN
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in told or "busy" in told
    return not isinstance(error, IntegrityError) and type(error).__name__ in ("OperationalError", "InterfaceError")


def _bound(sql: str, inputs: Mapping[str, Any], *, shared: bool = False) -> TextClause:
    """Return a statement whose values are bound: a list as the values of `IN`.

    With `shared`, other statements may read the values that this one does not.
    """
    if first_word(sql) in _CONTROL:
        raise _wrong("the statement controls the transaction", "remove it: each call is one transaction")
    if not is_one_statement(sql):
        raise _wrong("it is not one statement", "give several statements to `execute`, as a list")
    statement, names = text(for_binding(sql)), names_read(sql)
    unread = sorted(inputs.keys() - names)
    if unread and not shared:
        raise _wrong(f"the SQL does not read {quoted_list([f':{name}' for name in unread])}", "remove it from `inputs`")
    if names - inputs.keys():
        raise _missing(names, inputs)
    for name in names:
        value = inputs[name]
        if isinstance(value, Mapping):
            raise _wrong(f"the value of `:{name}` is an object", "give one of its fields, or `{{ value | to_json }}`")
    lists = [name for name in names if isinstance(inputs[name], list | tuple)]
    return statement.bindparams(*(bindparam(name, expanding=True) for name in lists))


def _missing(names: set[str], given: Mapping[str, Any]) -> StepError:
    missing = [f":{name}" for name in sorted(names - given.keys())]
    return _wrong(f"the SQL reads {quoted_list(missing)}, which `inputs` does not have", "add it to `inputs`")


def _earlier(connection: Connection, key: str) -> dict[str, Any] | None:
    """Return what was recorded of an earlier write with the key; None if there was none."""
    found = connection.execute(select(_DONE.c.result).where(_DONE.c.key == key)).scalar()
    return None if found is None else json.loads(found)


def _remember(connection: Connection, key: str, result: Mapping[str, Any]) -> None:
    connection.execute(_DONE.insert().values(key=key, at=time.time(), result=json.dumps(result)))


def _wrong(message: str, help: str | None) -> StepError:
    return StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)


def _interrupted() -> StepError:
    return StepError("the call was stopped", code=codes.DATABASE_FAILED, retryable=False)

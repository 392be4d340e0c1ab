"""What the store needs of each kind of database. Another kind is a subclass and its entry in `registry`."""
# ruff: noqa: B027 - what most databases do not need is empty

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Self

from orchestrator.journal.dialects import problems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.dialects.sqlite import Insert
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.pool import PoolProxiedConnection
    from sqlalchemy.types import TypeEngine

    from orchestrator.errors import StoreUnavailable
    from orchestrator.journal.dialects.change_signal import ChangeSignal
    from orchestrator.journal.turns import Turns


class Dialect(ABC):
    """An opened database. `url` is its address without the password."""

    name: ClassVar[str]
    """The name of the database in URLs, as in SQLAlchemy."""
    driver: ClassVar[str]
    """The driver that the store uses, as in SQLAlchemy's URLs."""
    urls: ClassVar[frozenset[str]]
    """The schemes of the URLs that this dialect opens."""
    driver_module: ClassVar[str]
    """The top-level module of the driver, whose errors it raises."""
    mark: ClassVar[str]
    """How the driver writes a parameter in a statement."""
    row_lock: ClassVar[str] = ""
    """What keeps a selected row as it is until the transaction ends."""
    lease_end: ClassVar[str]
    """The SQL of the time at which a lease ends, with one parameter."""
    sends_changes: ClassVar[bool] = False
    """Whether a process must send its changes to others, with `ChangeSignal.send`."""
    one_writer: ClassVar[bool] = False
    """Whether a transaction that writes keeps all others from writing."""
    key_type: ClassVar[TypeEngine[Any] | None] = None
    """The type of a number that counts up by itself, if it is not BIGINT."""
    id_type: ClassVar[TypeEngine[Any] | None] = None
    """The type of a text whose prefixes are ranges, if it is not TEXT."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.engine = engine
        self.url = url
        self.turn: AbstractContextManager[Any] = nullcontext()
        """This process's turn to write."""

    @classmethod
    @abstractmethod
    def open(cls, url: URL, *, create: bool) -> Self:
        """Open the database at a URL; connections are made on first use.

        Raises:
            StoreUnavailable: It cannot be a store, or with `create=False` does not exist.
            ConfigurationError: The URL has an option that cannot be used.
            MissingExtra: The driver is not installed.
        """

    @classmethod
    def may_exist(cls, url: URL) -> bool:
        """Return whether there may be a store at a URL, without creating one."""
        return True

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # --- the schema

    def find_foreign(self) -> StoreUnavailable | None:
        """Return the error of a database that belongs to another application."""
        return None

    def initialize(self) -> None:
        """Prepare an empty database, before its tables are created."""

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Keep other processes from changing the schema until the transaction ends."""

    def create_schema(self, connection: Connection) -> None:
        """Create what the tables are created in, where it is missing."""

    def mark_schema(self, connection: Connection) -> None:
        """Mark a database as a store of runs, after its tables were created."""

    def lock_name(self, connection: Connection, name: str) -> None:
        """Keep other transactions that lock the same name waiting until this one ends."""

    # --- statements

    @abstractmethod
    def clock(self) -> ColumnElement[float]:
        """Return the expression for the current time, by one clock for all hosts that share the database."""

    @abstractmethod
    def lease_parameter(self, ttl: float) -> float:
        """Return the parameter for `lease_end` of a lease that ends in `ttl` seconds."""

    @staticmethod
    @abstractmethod
    def in_later_items(path: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that a path is that of an item from number 10 on, or inside one."""

    @staticmethod
    @abstractmethod
    def insert(table: Table) -> Insert:
        """Return an insert with `on_conflict_do_nothing` and `on_conflict_do_update`."""

    def insert_rows(self, cursor: Any, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows with a value for every column, on a cursor of the driver."""
        values = ", ".join([self.mark] * len(rows[0]))
        cursor.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608 - the names are ours

    def begin(self, cursor: Any) -> None:
        """Begin a transaction that writes, on a cursor of the driver."""

    def commit(self, connection: PoolProxiedConnection, cursor: Any) -> None:
        """Commit the transaction."""
        connection.commit()

    def keep_blobs(self, cursor: Any) -> None:
        """Keep blobs from being pruned until the transaction ends."""

    def claim_blobs(self, connection: Connection) -> None:
        """Keep other transactions from writing blobs until this one ends, so that unused ones can be pruned."""

    @abstractmethod
    def change_signal(self) -> ChangeSignal:
        """Return what reports the writes of other processes."""

    # --- what can go wrong

    @abstractmethod
    def problem(self, error: BaseException) -> StoreUnavailable:
        """Return what an error of the driver means to a person."""

    def raised(self, error: BaseException) -> bool:
        """Return whether the driver raised an error."""
        return type(error).__module__.partition(".")[0] == self.driver_module

    def check_in_place(self) -> None:
        """Refuse to write to a database that was removed or replaced.

        Raises:
            StoreUnavailable: ORC811, it was.
        """

    def log_identity(self) -> object:
        """Return what identifies the log that is written to; None where that cannot be removed."""
        return None

    def gone(self) -> StoreUnavailable:
        """Return the error of a store that was removed, after which nothing is written any more."""
        return problems.removed(self.url)

    # --- upkeep

    def shrink(self, turns: Turns) -> None:
        """Give the space that pruning freed back to the file system."""

    @abstractmethod
    def sizes(self, connection: Connection) -> tuple[int, int]:
        """Return how many bytes the database has, and how many of those are free."""

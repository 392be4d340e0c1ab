"""How one process learns that another one has written to the store."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.pool import PoolProxiedConnection


class ChangeSignal(ABC):
    """Reports the changes of a store on its own connection. For one thread."""

    longest: ClassVar[float] = math.inf
    """Seconds after which to look at the store although no change was reported: one may have been lost."""

    def watch(self, *, on: bool) -> None:  # noqa: B027 - most databases need not be told
        """Begin or stop to receive changes. Off at first."""

    @abstractmethod
    def changed(self) -> set[int] | None:
        """Return the keys of the runs that may have changed since the last call; None: any of them. Never blocks."""

    def send(self, keys: Sequence[int]) -> None:  # noqa: B027 - most databases need not be told
        """Report changes of runs to other processes, where the database does not do that."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


class DataVersion(ChangeSignal):
    """SQLite counts the commits of other connections, without reading the file."""

    def __init__(self, connection: PoolProxiedConnection) -> None:
        self._connection = connection
        self._version = self._read()

    def changed(self) -> set[int] | None:
        """Return None if another connection has committed."""
        version = self._read()
        if version == self._version:
            return set()
        self._version = version
        return None

    def close(self) -> None:
        """Return the connection to the pool."""
        self._connection.close()

    def _read(self) -> int:
        cursor = self._connection.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        finally:
            cursor.close()


class Notifications(ChangeSignal):
    """PostgreSQL sends what a session notifies to the sessions that listen.

    Sent after the commits and not with them: a transaction that notifies holds a lock of the whole server while it
    commits, so commits of several processes would wait for each other's disks.
    """

    longest = 5.0

    def __init__(self, connection: PoolProxiedConnection, channel: str) -> None:
        self._pooled = connection
        driver: Any = connection.driver_connection
        self._connection = driver
        self._channel = channel
        self._arrived: set[int] = set()
        driver.autocommit = True
        # The driver receives some of them itself, with the results of statements.
        driver.add_notify_handler(lambda notification: self._note(notification.payload))

    def watch(self, *, on: bool) -> None:
        """Listen only while runs are read: what a session does not read fills the queue of the whole server."""
        self._connection.execute(f'{"LISTEN" if on else "UNLISTEN"} "{self._channel}"')

    def changed(self) -> set[int] | None:
        """Return the runs of all notifications that have arrived."""
        self._connection.pgconn.consume_input()
        while (notification := self._connection.pgconn.notifies()) is not None:
            self._note(notification.extra.decode())
        arrived, self._arrived = self._arrived, set()
        return arrived

    def send(self, keys: Sequence[int]) -> None:
        """Notify, with several keys in a message, which may have 8,000 bytes."""
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            message = ",".join(map(str, keys[start : start + _KEYS_AT_ONCE]))
            self._connection.execute("SELECT pg_notify(%s, %s)", (self._channel, message))

    def _note(self, message: str) -> None:
        self._arrived.update(map(int, message.split(",")))

    def close(self) -> None:
        """Close the connection: it must not be lent to others while it listens."""
        self._pooled.invalidate()


_KEYS_AT_ONCE = 300

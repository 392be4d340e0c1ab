"""Watching a run of a server as it is executed, on behalf of a display."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from orchestrator.client.event_subscription import EventSubscription
from orchestrator.client.remote_journal import RemoteJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from orchestrator.client.connection import ServerConnection
    from orchestrator.journal import Event, RunStatus


class RemoteWatch:
    """Reads the stream of a run, and waits at the same time until it rests."""

    def __init__(self, connection: ServerConnection, run_id: str, rest: Callable[[], Awaitable[RunStatus]]) -> None:
        self._connection = connection
        self._run_id = run_id
        self._rest = rest
        self._journal = RemoteJournal(connection)
        self._stream: EventSubscription | None = None
        self._resting: asyncio.Task[RunStatus] | None = None

    def look(self, after: int, *, timeout: float) -> tuple[Iterable[Event], RunStatus | None]:
        """Wait at most `timeout` seconds; return the events after `after`, and the status if nothing more will happen.

        Pieces of answers, with the `seq` 0, are among the events.
        """
        return self._connection.call(self._look(after, timeout))

    def close(self) -> None:
        """Stop watching."""
        self._connection.trigger(self._cancel)()

    async def _look(self, after: int, timeout: float) -> tuple[list[Event], RunStatus | None]:  # noqa: ASYNC109
        if self._stream is None or self._stream.is_over:
            self._stream = EventSubscription(self._connection, self._run_id, after)
        self._resting = self._resting or asyncio.ensure_future(self._rest())
        found = await self._stream.take(timeout)
        if not self._resting.done():
            if not found and self._stream.ended:  # it rests, or is about to
                await asyncio.wait([self._resting], timeout=timeout)
            if not self._resting.done():
                return found, None
        status, self._resting = self._resting.result(), None
        while self._stream.taken < status.last_seq and not self._stream.is_over:
            found += await self._stream.take(timeout)
        if (seen := self._stream.taken) < status.last_seq:  # the stream ended before it was resumed
            found += await self._journal.aevents(self._run_id, seen, status.last_seq - seen)
        return found, status

    def _cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
        if self._resting is not None and not self._resting.cancel() and not self._resting.cancelled():
            self._resting.exception()  # no other code retrieves it

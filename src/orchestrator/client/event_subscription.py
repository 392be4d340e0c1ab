"""A live stream of a run's events that rejoins by itself after a lost connection or a restart of the server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx2 as httpx
import msgspec

from orchestrator.client.problem_errors import error_from
from orchestrator.client.views import event_from
from orchestrator.errors import OrchestratorError, RequestError, ServerUnavailable, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.client.connection import ServerConnection
    from orchestrator.journal import Event

MOST_BUFFERED: Final = 1_000
"""How many events are read ahead of their reader."""

_PASSING: Final = frozenset({502, 503, 504})


class EventSubscription:
    """The events of a run after one of them. Used on the event loop of the connection alone, but for `cancel`.

    Every recorded event comes once and in order, whatever happens to the connection. Pieces of answers, which are not
    recorded, are not sent again.
    """

    def __init__(self, connection: ServerConnection, run_id: str, after: int) -> None:
        self._connection = connection
        self._path = f"/v1/runs/{quote(run_id, safe='')}/events"
        self.taken = after
        """The number of the newest event that the reader has taken."""
        self._seen = after
        self.ended = False
        """Whether the stream has ended: there are no further events than those that were received."""
        self._buffer: deque[Event] = deque()
        self._changed = asyncio.Condition()
        self._error: Exception | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to take."""
        return self.ended and not self._buffer and self._error is None

    async def take(self, timeout: float | None = None) -> list[Event]:  # noqa: ASYNC109 - it returns what there is
        """Return the events that have arrived, and wait for one if there is none.

        An empty list: the stream has ended, or nothing arrived within `timeout` seconds.

        Raises:
            OrchestratorError: The server has reported it.
            ServerUnavailable: ORC917, the server could not be reached again.
        """
        if self._pump is None and not self.ended:
            self._pump = asyncio.create_task(self._fill())
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._buffer or self.ended)
        except TimeoutError:
            return []
        async with self._changed:
            taken = list(self._buffer)
            self._buffer.clear()
            self.taken = max([self.taken, *(event.seq for event in taken)])
            self._changed.notify_all()
        if not taken and self._error is not None:
            raise self._error
        return taken

    def cancel(self) -> None:
        """End the stream without waiting for that."""
        self.ended = True
        if self._pump is not None:
            self._pump.cancel()

    async def _fill(self) -> None:
        try:
            async for event in self._events():
                async with self._changed:
                    await self._changed.wait_for(lambda: len(self._buffer) < MOST_BUFFERED)
                    self._buffer.append(event)
                    self._changed.notify_all()
        except Exception as error:  # the reader receives it
            self._error = error
        finally:
            self.ended = True
            async with self._changed:
                self._changed.notify_all()

    async def _events(self) -> AsyncIterator[Event]:
        """Yield the events to the end of the run, over as many connections as that takes."""
        patience = self._connection.patience()
        while True:
            lost: Exception | None = None
            try:
                async with self._connection.stream(self._path, {"last-event-id": str(self._seen)}) as source:
                    async for block in source:
                        patience.reset()
                        if block.event == "end":
                            return
                        event = self._new(block)
                        if event is not None:
                            yield event
            except httpx.TransportError as error:
                lost = error
            except OrchestratorError as error:
                if not _passes(error):
                    raise
                lost = error
            if not await patience.wait():
                raise lost if isinstance(lost, OrchestratorError) else self._connection.unreachable(lost)

    def _new(self, block: httpx.ServerSentEvent) -> Event | None:
        """Return the event of a block; None if it was received before."""
        found = _decoded(block)
        if block.event == "problem":
            raise error_from(found)
        try:
            event = event_from(found)
        except KeyError as error:
            raise RequestError(f"the stream has a block `{block.event}` that is not an event") from error
        if not event.seq:
            return event
        if event.seq <= self._seen:
            return None
        if event.seq > self._seen + 1:
            raise RequestError(f"the stream leaves out event {self._seen + 1} of run `{event.run_id}`")
        self._seen = event.seq
        return event


def _decoded(block: httpx.ServerSentEvent) -> Any:
    try:
        found = msgspec.json.decode(block.data)
    except msgspec.MsgspecError:
        found = None
    if not isinstance(found, dict):
        raise RequestError(f"the stream has a block `{block.event}` that is not an object")
    return found


def _passes(error: OrchestratorError) -> bool:
    """Whether an error passes by itself: the server starts, stops, or has lost its database."""
    if isinstance(error, ServerUnavailable | StoreError):
        return True
    return isinstance(error, RequestError) and error.status in _PASSING
